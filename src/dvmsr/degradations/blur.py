"""Blur by a lens, a moving hand or a focus that missed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# So many standard deviations beyond the border are made up, so that one side does not meet the other.
_REACH = 4


@dataclass(frozen=True)
class Blur:
    """A Gaussian, as wide in all directions or in two different ones."""

    sigma: float
    """Standard deviation along its axis, in pixels."""

    across: float | None = None
    """Standard deviation across its axis; None: as along it."""

    angle: float = 0.0
    """Direction of its axis, in radians from the rows."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Blur an image; beyond its border it goes on as its mirror image.

        By the Fourier transform, where a Gaussian of any direction is one product.

        Args:
            image: (H, W, channels).

        Returns:
            An image of the same shape, rounded.
        """
        across = self.sigma if self.across is None else self.across
        reach = math.ceil(_REACH * max(self.sigma, across))
        padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        height, width, _ = padded.shape
        y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
        along_axis = x * math.cos(self.angle) + y * math.sin(self.angle)
        across_axis = y * math.cos(self.angle) - x * math.sin(self.angle)
        exponent = (self.sigma * along_axis) ** 2 + (across * across_axis) ** 2
        gaussian = np.exp(-2 * math.pi**2 * exponent).astype(np.float32)[..., None]
        spectrum = np.fft.rfft2(padded.astype(np.float32), axes=(0, 1))
        blurred = np.fft.irfft2(spectrum * gaussian, s=(height, width), axes=(0, 1))
        inside = blurred[reach : height - reach, reach : width - reach]
        rounded: NDArray[np.uint8] = inside.round().clip(0, 255).astype(np.uint8)
        return rounded
