"""What lies under transparent pixels, and how transparency is enlarged without the network.

Letters in the shapes: N rows of a block, W columns, C channels of colour (1 or 3); alpha is one channel more.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = 16
"""How many rows away a visible pixel gives its colour. The network's convolutions see 7 rows far."""

NEAR = 2
"""How far :func:`neighbourhoods` looks."""

# Windows of 64 rows with REACH above and below: half more is looked at than is spread.
_ROWS = 64
_FAR = 1 << 30


def spread_colours(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Give wholly transparent pixels the colour of the nearest visible one.

    What such pixels hide is mostly black. The network would see an edge there, and leave a dark fringe in the
    pixels beside it. "Nearest" counts steps along rows and columns, and reaches any distance along a row and
    :data:`REACH` rows up and down; beyond that, a pixel keeps what it hides.

    Args:
        blocks: An image from top to bottom as (N, W, C + 1) arrays of unsigned integers, alpha last.

    Yields:
        The same rows in blocks of other heights, alpha unchanged.
    """
    # Rows whose neighbours below are still to come, after up to REACH rows that are done.
    window: NDArray[Any] | None = None
    done = 0
    for block in blocks:
        window = block if window is None else np.concatenate([window, block])
        while len(window) - done >= _ROWS + REACH:
            yield _spread(window[: done + _ROWS + REACH], done, done + _ROWS)
            done += _ROWS
            window, done = window[max(0, done - REACH) :], min(done, REACH)
    if window is not None and len(window) > done:
        yield _spread(window, done, len(window))


def neighbourhoods(
    blocks: Iterable[NDArray[Any]], target: tuple[int, int], source: tuple[int, int]
) -> Iterator[NDArray[Any]]:
    """Give for each pixel of an enlarged channel the least and the most that its neighbourhood holds.

    The neighbourhood are the pixels of the source up to :data:`NEAR` rows and columns away from the one in
    which the enlarged pixel lies: bicubic interpolation sees no further.

    Args:
        blocks: The channel from top to bottom as (N, W, 1) arrays.
        target: Columns and rows of the enlarged one.
        source: Columns and rows of the channel.

    Yields:
        (n, target W, 2): least and most, from top to bottom.
    """
    (target_width, target_height), (width, height) = target, source
    columns = _nearest(target_width, width)
    rows = _nearest(target_height, height)
    window: NDArray[Any] | None = None
    # Rows of the source before the window, and rows of the target that are done.
    before = done = 0
    for block in blocks:
        window = block if window is None else np.concatenate([window, block])
        ready = before + len(window)
        last = target_height if ready == height else int(np.searchsorted(rows, ready - NEAR))
        if last > done:
            yield _ranges(window, rows[done:last] - before, columns)
            done = last
            spare = max(0, ready - 2 * NEAR - before)
            window, before = window[spare:], before + spare


def _nearest(count: int, of: int) -> NDArray[np.int64]:
    """In which of ``of`` pixels each of ``count`` lies that are as long together."""
    return (2 * np.arange(count) + 1) * of // (2 * count)


def _ranges(window: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
    found = []
    for extreme in (np.minimum, np.maximum):
        result = window[..., 0]
        for axis in (0, 1):
            padded = np.pad(result, [(NEAR, NEAR) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            count = result.shape[axis]
            shifted = (padded.take(range(i, i + count), axis) for i in range(2 * NEAR + 1))
            result = functools.reduce(extreme, shifted)
        found.append(result[rows][:, columns])
    return np.stack(found, axis=2)


def _spread(window: NDArray[Any], top: int, bottom: int) -> NDArray[Any]:
    """Spread colours in the rows ``top`` to ``bottom`` of a window, from all of its rows."""
    visible = window[..., -1] > 0
    hidden = ~visible[top:bottom]
    if not hidden.any() or not visible.any():
        return window[top:bottom]
    distances, rows = _nearest_in_columns(visible, top, bottom)
    columns = _nearest_in_rows(distances)
    nearest_rows = np.take_along_axis(rows, columns, axis=1)
    hidden &= np.take_along_axis(distances, columns, axis=1) < _FAR
    result = window[top:bottom].copy()
    result[..., :-1][hidden] = window[nearest_rows[hidden], columns[hidden], :-1]
    return result


def _nearest_in_columns(
    visible: NDArray[np.bool_], top: int, bottom: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pixel the nearest visible one of its column: its distance, _FAR beyond REACH, and its row."""
    rows = np.arange(len(visible))[:, None]
    above = np.maximum.accumulate(np.where(visible, rows, -_FAR), axis=0)[top:bottom]
    below = np.minimum.accumulate(np.where(visible, rows, 2 * _FAR)[::-1], axis=0)[::-1][top:bottom]
    here = rows[top:bottom]
    nearest = np.where(here - above <= below - here, above, below)
    distances = np.abs(nearest - here)
    too_far = distances > REACH
    distances[too_far] = _FAR
    nearest[too_far] = 0
    return distances, nearest


def _nearest_in_rows(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each pixel the column x' of its row for which distances[x'] + |x - x'| is least."""
    width = distances.shape[1]
    columns = np.arange(width)
    # The distance and where it was found in one number, so that a running minimum carries both.
    from_left = np.minimum.accumulate((distances - columns) * width + columns, axis=1)
    from_right = np.minimum.accumulate(((distances + columns) * width + columns)[:, ::-1], axis=1)[:, ::-1]
    left_is_nearer = from_left // width + columns <= from_right // width - columns
    nearest: NDArray[np.int64] = np.where(left_is_nearer, from_left, from_right) % width
    return nearest
