"""The average over an image's flips and rotations, with the face of an ``Upscaler``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.inference.symmetries import SYMMETRIES, average_symmetries
from dvmsr.inference.upscaler import Upscaler, rows_at_once

if TYPE_CHECKING:
    from dvmsr.engine import Profile


class EnsembleUpscaler:
    """Enlarges whole images eight times and averages; see ``average_symmetries``.

    Args:
        upscaler: The network.
        on_progress: Called with the part of the work that is done, from 0 to 1.
    """

    def __init__(self, upscaler: Upscaler, on_progress: Callable[[float], object]) -> None:
        self._upscaler = upscaler
        self._on_progress = on_progress

    @property
    def scale(self) -> int:
        """How many times larger the output is on each side."""
        return self._upscaler.scale

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        width: int,
        *,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Enlarge an image, all of which is held in memory.

        Args:
            blocks: The image from top to bottom as (rows, width, 3) arrays of float32.
            width: Its columns.
            on_profile: Called with where the engine's time went, once for each of the eight.

        Yields:
            The enlarged image.
        """
        image = np.concatenate([np.empty((0, width, 3), np.float32), *blocks])
        done = 0

        def enlarge(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal done
            height, width, _ = pixels.shape
            output = np.empty((self.scale * height, self.scale * width, 3), np.float32)
            rows = rows_at_once(width)
            parts = (pixels[top : top + rows] for top in range(0, height, rows))
            top = 0
            for block in self._upscaler.stream(parts, width, on_profile=on_profile):
                output[top : top + len(block)] = block
                top += len(block)
                self._on_progress((done + top / len(output)) / SYMMETRIES)
            done += 1
            return output

        yield average_symmetries(enlarge, image)


def ensemble_bytes(width: int, height: int, scale: int) -> int:
    """Return about how much memory the average takes: the image, the sum, one pass and the result.

    Args:
        width: Columns of the image.
        height: Rows of the image.
        scale: By how much the network enlarges.
    """
    return 12 * width * height * (3 + 3 * scale**2)
