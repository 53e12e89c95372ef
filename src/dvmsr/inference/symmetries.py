"""The flips and rotations of a square, for arrays with the channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SYMMETRIES = 8
"""How many there are; number 0 changes nothing."""


def apply_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Turn an (H, W, channels) image by ``symmetry % 4`` quarters; from 4 on, mirror it after that.

    The result is a view: what is written into it is written into the image.
    """
    turned = np.rot90(image, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def undo_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Take back :func:`apply_symmetry`."""
    return np.rot90(image[:, ::-1] if symmetry >= 4 else image, -(symmetry % 4))


def average_symmetries(
    upscale: Callable[[NDArray[np.float32]], NDArray[np.float32]], image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Enlarge all flips and rotations of an image, turn them back and average them: a self-ensemble.

    After EDSR (Lim et al. 2017, section 3.4), which calls it the geometric self-ensemble.

    Args:
        upscale: Enlarges (H, W, 3) in [0, 1], contiguous, without clipping, into an array of its own.
        image: (H, W, 3) in [0, 1].

    Returns:
        The enlarged image.
    """
    total = upscale(np.ascontiguousarray(image))
    for symmetry in range(1, SYMMETRIES):
        turned = np.ascontiguousarray(apply_symmetry(image, symmetry))
        total += undo_symmetry(upscale(turned), symmetry)
    total /= SYMMETRIES
    return total
