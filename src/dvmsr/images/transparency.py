"""What lies under transparent pixels, and how transparency is enlarged without the network.

Letters in the shapes: N rows of a block, W columns, C channels of colour (1 or 3); alpha is one channel more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = 16
"""How many rows away a visible pixel gives its colour. The network's convolutions see 7 rows far."""

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
