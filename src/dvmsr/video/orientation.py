"""How a video is turned when it is shown: its display matrix.

The matrix is FFmpeg's: nine numbers (a, b, u, c, d, v, x, y, w) by which the point (p, q) is shown at
(a p + c q + x, b p + d q + y), q downwards; a to d, x and y are 16.16 fixed point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

from dvmsr.video.libav import side_data

Matrix = tuple[int, ...]
_ONE = 1 << 16
_IDENTITY = (_ONE, 0, 0, 0, _ONE, 0, 0, 0, 1 << 30)


def read_matrix(frame: VideoFrame) -> Matrix | None:
    """Return the display matrix of a frame; None where it is shown as it lies."""
    data = side_data(frame).get(Type.DISPLAYMATRIX)
    if data is None:
        return None
    matrix = tuple(int(value) for value in np.frombuffer(data, np.int32, 9))
    return None if matrix == _IDENTITY else matrix


def scaled(matrix: Matrix, across: float, down: float) -> Matrix:
    """Return the matrix of a video that has been enlarged.

    Args:
        matrix: That of its source.
        across: How many times wider what is shown has become.
        down: How many times higher.
    """
    moved = list(matrix)
    moved[6], moved[7] = round(matrix[6] * across), round(matrix[7] * down)
    return tuple(moved)


def is_right_angled(matrix: Matrix) -> bool:
    """Return whether a matrix turns by quarters, or mirrors, and nothing else."""
    a, b, _, c, d = matrix[:5]
    return (a == d == 0 and abs(b) == abs(c) == _ONE) or (b == c == 0 and abs(a) == abs(d) == _ONE)


def swaps_sides(matrix: Matrix) -> bool:
    """Return whether rows become columns."""
    return matrix[0] == 0


def oriented(pixels: NDArray[Any], matrix: Matrix) -> NDArray[Any]:
    """Turn (H, W, C) as a right-angled matrix shows it."""
    a, b, _, c, d = matrix[:5]
    if swaps_sides(matrix):
        pixels = pixels.transpose(1, 0, 2)
        across, down = c, b
    else:
        across, down = a, d
    if across < 0:
        pixels = pixels[:, ::-1]
    if down < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
