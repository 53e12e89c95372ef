"""Making images smaller, by the filters that programs use."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import MissingExtraError
from dvmsr.images import imresize

Reduction = Literal["bicubic", "bilinear", "area"]
"""MATLAB's bicubic filter; a triangle or a box as wide as the pixels that are made."""

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
"""All filters."""


def reduce(image: NDArray[np.uint8], scale: int, reduction: Reduction) -> NDArray[np.uint8]:
    """Make an image smaller.

    Args:
        image: (H, W, 3), H and W multiples of ``scale``.
        scale: How many times.
        reduction: The filter.

    Returns:
        (H / scale, W / scale, 3).

    Raises:
        MissingExtraError: Another filter than bicubic, and Pillow is not installed.
    """
    if reduction == "bicubic":
        return imresize(image, 1 / scale)
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "train", "reducing by other filters than bicubic") from error
    filters = {"bilinear": Image.Resampling.BILINEAR, "area": Image.Resampling.BOX}
    size = (image.shape[1] // scale, image.shape[0] // scale)
    return np.asarray(Image.fromarray(image).resize(size, filters[reduction]))
