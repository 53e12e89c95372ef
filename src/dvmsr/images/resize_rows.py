"""Resizing an image whose rows arrive one after the other, as ``imresize`` resizes a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images.resize import taps

# Output columns that one matrix makes: few, as most weights of a large one are zeros; and enough for BLAS.
_TILE = 16


def resize_rows(
    blocks: Iterable[NDArray[np.float32]], size: tuple[int, int], output_size: tuple[int, int]
) -> Iterator[NDArray[np.float32]]:
    """Resize an image by bicubic interpolation, antialiased when it shrinks, a few rows at a time.

    The kernel and its place are those of ``imresize``. Memory grows with the width and the rows of a block.

    Args:
        blocks: The image from top to bottom as (rows, width, channels) arrays, of any number of rows.
        size: Its height and width.
        output_size: Height and width of the result, from 1.

    Yields:
        Blocks of (rows, output width, channels), not clipped, as many rows as can be finished.

    Raises:
        ArgumentError: The blocks are of another width, or not of so many rows in all.
    """
    height, width = size
    output_height, output_width = output_size
    indices, weights = taps(height, output_height, output_height / height)
    # Of each output row: one past the last input row that it needs.
    ends = indices.max(axis=1) + 1
    columns = _Columns(width, output_width)
    waiting: NDArray[np.float32] | None = None
    top = arrived = finished = 0  # `waiting` holds the input's rows from `top` on
    for block in blocks:
        if block.ndim != 3 or block.shape[1] != width:
            raise ArgumentError(f"blocks must be (rows, {width}, channels), got {block.shape}")
        waiting = block if waiting is None else np.concatenate([waiting, block])
        arrived += len(block)
        end = int(np.searchsorted(ends, arrived, side="right"))
        if end == finished:
            continue
        rows = _matrix(indices[finished:end] - top, weights[finished:end], len(waiting))
        flat = waiting.reshape(len(waiting), -1)
        yield columns.resize((rows @ flat).reshape(end - finished, width, -1))
        finished = end
        if finished < output_height:
            first = int(indices[finished].min())
            waiting = waiting[first - top :]
            top = first
    if arrived != height:
        raise ArgumentError(f"blocks must have {height} rows in all, got {arrived}")


class _Columns:
    """Resizes along the rows."""

    def __init__(self, width: int, output_width: int) -> None:
        self._output_width = output_width
        indices, weights = taps(width, output_width, output_width / width)
        edges = [*range(0, output_width, _TILE), output_width]
        # (first output column, first input column, weights as (input columns, output columns))
        self._tiles = []
        for start, end in pairwise(edges):
            first, last = int(indices[start:end].min()), int(indices[start:end].max())
            matrix = _matrix(indices[start:end] - first, weights[start:end], last + 1 - first)
            self._tiles.append((start, first, np.ascontiguousarray(matrix.T)))

    def resize(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, width, channels) to (rows, output width, channels)."""
        rows, width, channels = image.shape
        # Pixels last, so that all rows and channels share one product.
        lines = np.ascontiguousarray(image.transpose(0, 2, 1)).reshape(rows * channels, width)
        output = np.empty((rows * channels, self._output_width), np.float32)
        for start, first, matrix in self._tiles:
            size, count = matrix.shape
            np.matmul(lines[:, first : first + size], matrix, out=output[:, start : start + count])
        pixels = output.reshape(rows, channels, self._output_width).transpose(0, 2, 1)
        return np.ascontiguousarray(pixels)


def _matrix(indices: NDArray[np.intp], weights: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """(outputs, taps) of indices and weights as a dense (outputs, length)."""
    matrix = np.zeros((len(indices), length))
    outputs = np.arange(len(indices))
    for tap in range(indices.shape[1]):
        # At the border several taps fall on one pixel; those without weight may lie outside.
        used = weights[:, tap] != 0
        matrix[outputs[used], indices[used, tap]] += weights[used, tap]
    return matrix.astype(np.float32)
