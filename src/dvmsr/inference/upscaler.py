"""The one way to enlarge: for Python users, the command line and the evaluation alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dvmsr.engine import Engine, EngineStream, Profile, available_threads, whole_number
from dvmsr.errors import ArgumentError
from dvmsr.inference.backend import RowStream, make_engine
from dvmsr.weights import Weights, load_weights


class Upscaler:
    """Enlarges images with the DVMSR network.

    Args:
        weights: A file of weights (see ``dvmsr.weights.load_weights``) or weights in memory; None takes
            the ones that come with the package.
        device: Where to compute: "cpu"; "torch" for the PyTorch network on the CPU, slower and made to be
            changed; "cuda", "cuda:N" or another device of PyTorch's, which then must be
            installed; "auto" for "cuda" where there is one, else "cpu".
        threads: How many threads may work on a CPU; None takes every processor that this process may use.
            The result does not depend on it, bit by bit.
        precision: What to compute in: "fp32"; "bf16"; not on the CPU, "fp16"; "auto" for "bf16" on a CPU
            that multiplies it, else "fp32".

    Raises:
        ArgumentError: The device or the precision is unknown or not to be had here, or threads is not a
            whole number from 1.
        MissingExtraError: The device needs PyTorch, and it is not installed.
        WeightsError: The file is missing, damaged or of another network.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights | None = None,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        self.threads = available_threads() if threads is None else whole_number("threads", threads)
        loaded = weights if isinstance(weights, Weights) else load_weights(weights)
        self.config = loaded.config
        self._engine = make_engine(loaded, device, precision)

    @property
    def scale(self) -> int:
        """How many times larger the output is on each side."""
        return self.config.scale

    def upscale(self, image: NDArray[Any]) -> NDArray[Any]:
        """Enlarge an image.

        Args:
            image: (H, W, 3) RGB of uint8, uint16 (each over its full range) or finite float32 in [0, 1]; H
                and W from 1.

        Returns:
            (scale * H, scale * W, 3) of the same type. Integers are rounded and clipped, float32 is not
            clipped.

        Raises:
            ArgumentError: The image is of another shape or type, or holds NaN or infinity.
        """
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            shape = image.shape if isinstance(image, np.ndarray) else type(image).__name__
            raise ArgumentError(f"image must be an array of shape (height, width, 3), got {shape}")
        _check_finite(image, first_row=0)
        return self._engine.stream(image.shape[1], image.dtype, self.threads).push(image, last=True)

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        width: int,
        *,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Enlarge an image of any height in memory that does not grow with it.

        The result equals that of ``upscale`` on the whole image wherever it is cut: on the CPU bit by bit,
        on other devices up to the rounding of floats. Nothing is computed, and no argument checked, before
        the first block is asked for.

        Args:
            blocks: The image from top to bottom as (rows, width, 3) arrays of one type, as for
                ``upscale``; the numbers of rows may differ.
            width: Pixels in a row of the input.
            on_profile: Called at the end with where the engine's time went. Only on device "cpu".

        Yields:
            Blocks of (scale * rows, scale * width, 3). The output runs a few rows behind the input, on a GPU
            some more, until that ends.

        Raises:
            ArgumentError: A block is of another width or type or holds NaN or infinity, there are no rows,
                or the device has no profile.
        """
        stream: RowStream | None = None
        rows = 0
        for block in blocks:
            if not isinstance(block, np.ndarray):
                raise ArgumentError(f"blocks must be arrays of rows, got {type(block).__name__}")
            if stream is None:
                stream = self._start(width, block.dtype, profile=on_profile is not None)
                end = np.empty((0, width, 3), block.dtype)
            _check_finite(block, first_row=rows)
            rows += len(block)
            if len(output := stream.push(block)):
                yield output
        if stream is None or rows == 0:
            raise ArgumentError("expected at least one row of an image, got none")
        if len(output := stream.push(end, last=True)):
            yield output
        if on_profile is not None and isinstance(stream, EngineStream):
            on_profile(stream.profile())

    def _start(self, width: int, dtype: DTypeLike, *, profile: bool) -> RowStream:
        if not profile:
            return self._engine.stream(width, dtype, self.threads)
        if not isinstance(self._engine, Engine):
            raise ArgumentError('expected device "cpu" for a profile: it is of the native engine')
        return self._engine.stream(width, dtype, self.threads, profile=True)


def _check_finite(rows: NDArray[Any], *, first_row: int) -> None:
    """Refuse what is no number: through the scan it would spoil all of the image after it."""
    if rows.dtype != np.float32:
        return
    with np.errstate(invalid="ignore"):
        # Faster than a look at each: the sum is finite where all of them are.
        if np.isfinite(rows.sum(dtype=np.float64)):
            return
    places = np.argwhere(~np.isfinite(rows))
    value = rows[tuple(places[0])]
    places[0, 0] += first_row
    axes = zip(("row", "column", "channel"), places[0], strict=False)
    where = ", ".join(f"{axis} {index}" for axis, index in axes)
    raise ArgumentError(
        f"pixels must be finite numbers, got {value} in {where} ({len(places)} in these rows are not finite);"
        " replace them, for instance by numpy.nan_to_num"
    )
