"""MATLAB's bicubic ``imresize``, by which super-resolution benchmarks define their low-resolution images.

At the border the end pixel is repeated, as in the version of MATLAB that made the benchmarks' files: all
pixels of Set5, Set14 and BSD100 come out the same. Newer versions mirror the image instead, which differs
within one kernel of the border.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError

_KERNEL_WIDTH = 4.0


def imresize(
    image: NDArray[Any], scale: float | None = None, *, output_size: tuple[int, int] | None = None
) -> NDArray[Any]:
    """Resize an image by bicubic interpolation, antialiased when it shrinks, as MATLAB's ``imresize`` does.

    One axis after the other: the one that shrinks most first, height first where both shrink alike. For
    integers the result of each pass is rounded (half up) and clipped.

    Args:
        image: (H, W) or (H, W, channels), of uint8, uint16, float32 or float64.
        scale: Enlargement of both axes, above 0; sides are rounded up. Either this or ``output_size``.
        output_size: Height and width of the result, from 1.

    Returns:
        The resized image, of the same type. Floats are not clipped: the kernel can overshoot their range.

    Raises:
        ArgumentError: The image, scale or size is none of these.
    """
    if image.ndim not in (2, 3) or image.size == 0 or image.dtype not in ("u1", "u2", "f4", "f8"):
        raise ArgumentError(
            f"image must be (H, W) or (H, W, channels) of uint8, uint16, float32 or float64, "
            f"got {image.shape} of {image.dtype}"
        )
    if (scale is None) == (output_size is None):
        raise ArgumentError("expected either scale or output_size")
    if output_size is not None:
        if min(output_size) < 1:
            raise ArgumentError(f"output_size must be from 1x1, got {output_size[0]}x{output_size[1]}")
        sizes = output_size
        scales = (output_size[0] / image.shape[0], output_size[1] / image.shape[1])
    elif scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise ArgumentError(f"scale must be above 0, got {scale}")
        sizes = (math.ceil(scale * image.shape[0]), math.ceil(scale * image.shape[1]))
        scales = (scale, scale)
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        image = _resize_axis(image, axis, sizes[axis], scales[axis])
    return image


def make_pair(image: NDArray[Any], scale: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make the LR image of an HR image, as benchmarks make theirs.

    Args:
        image: (H, W, channels), of a type of ``imresize``.
        scale: How many times smaller the LR image is.

    Returns:
        The LR image, (H // scale, W // scale, channels), and the HR image without the last rows and columns
        that make no whole LR pixel. Both are empty where no LR pixel is left.

    Raises:
        ArgumentError: The image is none of these.
    """
    height, width = (side - side % scale for side in image.shape[:2])
    high = np.ascontiguousarray(image[:height, :width])
    return (imresize(high, 1 / scale) if high.size else high), high


def _resize_axis(image: NDArray[Any], axis: int, size: int, scale: float) -> NDArray[Any]:
    indices, weights = taps(image.shape[axis], size, scale)
    weight_shape = [1] * image.ndim
    weight_shape[axis] = size
    shape = list(image.shape)
    shape[axis] = size
    result: NDArray[Any] = np.zeros(shape, np.float32 if image.dtype == np.float32 else np.float64)
    # One tap at a time: the memory is that of a few results, whatever the width of the kernel.
    for tap in range(indices.shape[1]):
        weight = weights[:, tap].astype(result.dtype).reshape(weight_shape)
        np.add(result, weight * np.take(image, indices[:, tap], axis=axis), out=result)
    if image.dtype.kind == "f":
        return result
    rounded: NDArray[Any] = np.clip(np.floor(np.add(result, 0.5)), 0, np.iinfo(image.dtype).max)
    return rounded.astype(image.dtype)


def taps(length: int, size: int, scale: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The input pixels that make each output pixel, and their weights: both (size, taps).

    Pixels are unit intervals, so the centres of the first are at 0.5 in both images.
    """
    stretch = min(scale, 1.0)
    width = _KERNEL_WIDTH / stretch
    centres = (np.arange(size) + 0.5) / scale - 0.5
    first = np.floor(centres - width / 2)
    indices = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = _cubic(stretch * (centres[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.any(weights != 0, axis=0)
    return np.clip(indices[:, used], 0, length - 1).astype(np.intp), weights[:, used]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981, equation 15)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
