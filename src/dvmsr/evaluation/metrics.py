"""Image quality in the protocol that super-resolution papers share (BasicSR's, after MATLAB's functions).

Both images are 8 bit; ``border`` pixels, as many as the scale, are cut from each side first, because the
networks see less context there. A set's score is the mean of its images' scores.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError

WINDOW_SIZE = 11
"""Side of SSIM's Gaussian window in pixels, and so of the smallest image that it can score."""

_WINDOW_SIGMA = 1.5
_WINDOW = np.exp(-0.5 * ((np.arange(WINDOW_SIZE) - WINDOW_SIZE // 2) / _WINDOW_SIGMA) ** 2)
_WINDOW /= _WINDOW.sum()
_DATA_RANGE = 255.0
# ITU-R BT.601: weights of 8-bit R, G and B in luma of the range 16 to 235.
_LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / _DATA_RANGE
_LUMA_OFFSET = 16.0


def psnr_y(output: NDArray[Any], target: NDArray[Any], border: int) -> float:
    """Peak signal-to-noise ratio of the luma channel, in dB.

    Luma is left unrounded, as MATLAB's ``rgb2ycbcr`` leaves it for doubles.

    Args:
        output: The enlarged image, (H, W, 3) uint8.
        target: The ground truth, of the same shape and type.
        border: Pixels to cut from each side.

    Returns:
        The ratio to a peak of 255; infinity for equal luma.

    Raises:
        ArgumentError: The images are not of this kind, differ in shape, or are all border.
    """
    output, target = _cut(output, target, border, smallest=1)
    return _psnr(_luma(output), _luma(target))


def psnr_rgb(output: NDArray[Any], target: NDArray[Any], border: int) -> float:
    """Peak signal-to-noise ratio over all three channels, in dB.

    Args:
        output: The enlarged image, (H, W, 3) uint8.
        target: The ground truth, of the same shape and type.
        border: Pixels to cut from each side.

    Returns:
        The ratio to a peak of 255; infinity for equal images.

    Raises:
        ArgumentError: The images are not of this kind, differ in shape, or are all border.
    """
    output, target = _cut(output, target, border, smallest=1)
    return _psnr(output.astype(np.float64), target.astype(np.float64))


def ssim_y(output: NDArray[Any], target: NDArray[Any], border: int) -> float:
    """Structural similarity of the luma channel (Wang et al. 2004, equation 13).

    With the constants of the paper: a Gaussian window of 11x11 and sigma 1.5, K1 = 0.01, K2 = 0.03. Only
    windows that lie inside the image count.

    Args:
        output: The enlarged image, (H, W, 3) uint8.
        target: The ground truth, of the same shape and type.
        border: Pixels to cut from each side.

    Returns:
        The mean similarity, from -1 to 1; 1 for equal luma.

    Raises:
        ArgumentError: The images are not of this kind, differ in shape, or leave less than 11x11 pixels.
    """
    output, target = _cut(output, target, border, smallest=WINDOW_SIZE)
    x, y = _luma(output), _luma(target)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x * mean_x
    variance_y = _window_mean(y * y) - mean_y * mean_y
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * _DATA_RANGE) ** 2, (0.03 * _DATA_RANGE) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def _cut(
    output: NDArray[Any], target: NDArray[Any], border: int, smallest: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    for image in (output, target):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ArgumentError(f"expected (H, W, 3) uint8 images, got {image.shape} {image.dtype}")
    if output.shape != target.shape:
        raise ArgumentError(f"images to compare must have one shape, got {output.shape} and {target.shape}")
    height, width, _ = target.shape
    if border < 0:
        raise ArgumentError(f"border must be a whole number from 0, got {border}")
    if min(height, width) - 2 * border < smallest:
        raise ArgumentError(
            f"a {width}x{height} image less {border} pixels on each side is below {smallest}x{smallest}"
        )
    inside = np.s_[border : height - border, border : width - border]
    return output[inside], target[inside]


def _luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return image @ _LUMA_WEIGHTS + _LUMA_OFFSET


def _psnr(output: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    error = float(np.mean((output - target) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(_DATA_RANGE**2 / error)


def _window_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian mean over each window of (H, W): (H - 10, W - 10)."""
    rows = sliding_window_view(image, WINDOW_SIZE, axis=0) @ _WINDOW
    return sliding_window_view(rows, WINDOW_SIZE, axis=1) @ _WINDOW
