"""Carrying bands to the device and what they give back from it, one after the other."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dvmsr.torch_engine.bands import Bands


class Transfer(Protocol):
    """The way of bands to a device and back. A band is loaded once and run whole, or in pieces."""

    def buffer(self) -> NDArray[Any]:
        """Return where to put the rows of the next band, (rows, width, 3)."""
        ...

    def load(self, rows: int) -> None:
        """Take this many rows of the buffer as the next band."""
        ...

    def run(self, first: int, stop: int, ends: range) -> list[NDArray[Any]]:
        """Enlarge these rows of the band.

        Args:
            first: The first of them.
            stop: The one after the last of them.
            ends: Whether the image ends with them; see ``dvmsr.model.bands.advance``.

        Returns:
            Rows of output that have come back by now, not only of this band.

        Raises:
            torch.OutOfMemoryError: As of ``Bands.run``.
        """
        ...

    def finish(self) -> list[NDArray[Any]]:
        """Wait for the rest of the rows of output, and return them."""
        ...


class DirectTransfer:
    """A transfer to any device, each step after the one before.

    Args:
        bands: The network.
        device: The device.
        rows: Rows of the largest band.
        width: Pixels in a row.
        dtype: Type of the pixels.
    """

    def __init__(
        self, bands: Bands, device: torch.device, rows: int, width: int, dtype: np.dtype[Any]
    ) -> None:
        self._bands = bands
        self._device = device
        self._buffer = np.empty((rows, width, 3), dtype)
        self._band = torch.from_numpy(self._buffer[:0])

    def buffer(self) -> NDArray[Any]:
        """See ``Transfer``."""
        return self._buffer

    def load(self, rows: int) -> None:
        """See ``Transfer``."""
        self._band = torch.from_numpy(self._buffer[:rows]).to(self._device)

    def run(self, first: int, stop: int, ends: range) -> list[NDArray[Any]]:
        """See ``Transfer``."""
        return [self._bands.run(self._band[first:stop], ends).cpu().numpy()]

    def finish(self) -> list[NDArray[Any]]:
        """See ``Transfer``."""
        return []
