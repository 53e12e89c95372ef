"""Reading the images of a benchmark set, and checking that they can be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import DatasetError
from dvmsr.evaluation.datasets import ImagePair
from dvmsr.evaluation.metrics import WINDOW_SIZE
from dvmsr.images import make_pair, read_image


def check_pair(pair: ImagePair, scale: int) -> None:
    """Check by the headers of its files that a pair can be scored.

    Args:
        pair: The pair.
        scale: Enlargement.

    Raises:
        DatasetError: An image is not 8 bit or too small to score, or the sizes do not fit the scale.
        ImageReadError: A file cannot be read.
    """
    # Scoring works without libvips, this does not.
    from dvmsr.images import open_image

    high = open_image(pair.high)
    _check_type(pair.high, high.dtype)
    low_sides = (high.height // scale, high.width // scale)
    if pair.low is not None:
        low = open_image(pair.low)
        _check_type(pair.low, low.dtype)
        low_sides = (low.height, low.width)
    _check_sides(pair, low_sides, (high.height, high.width), scale)


def read_pair(pair: ImagePair, scale: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a pair to score.

    Args:
        pair: The pair. A missing LR image is made by :func:`dvmsr.images.make_pair`.
        scale: Enlargement.

    Returns:
        The LR image, (H, W, 3), and the part of the HR image that it covers, (scale * H, scale * W, 3).

    Raises:
        DatasetError: An image is not 8 bit or too small to score, or the sizes do not fit the scale.
        ImageReadError: A file cannot be read.
    """
    high = _read(pair.high)
    low = make_pair(high, scale)[0] if pair.low is None else _read(pair.low)
    height, width = _check_sides(pair, low.shape[:2], high.shape[:2], scale)
    return low, high[:height, :width]


def _read(path: Path) -> NDArray[np.uint8]:
    image = read_image(path)
    _check_type(path, image.dtype)
    return image


def _check_type(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype != np.uint8:
        raise DatasetError(f"{path}: scores are defined for 8 bit images, this one is {dtype}")


def _check_sides(pair: ImagePair, low: tuple[int, ...], high: tuple[int, ...], scale: int) -> tuple[int, int]:
    """Check a pair's (rows, columns); return those to compare."""
    height, width = scale * low[0], scale * low[1]
    # LR images are made from an HR image whose sides were cut to multiples of the scale.
    if not (0 <= high[0] - height < scale and 0 <= high[1] - width < scale):
        raise DatasetError(
            f"{pair.high}: {high[1]}x{high[0]} pixels, but scale {scale} of {low[1]}x{low[0]} in LR is "
            f"{width}x{height}"
        )
    if min(height, width) < WINDOW_SIZE + 2 * scale:
        raise DatasetError(
            f"{pair.high}: {high[1]}x{high[0]} pixels are too few to score at scale {scale}; "
            f"expected from {WINDOW_SIZE + 2 * scale} on each side"
        )
    return height, width
