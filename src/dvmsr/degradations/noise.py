"""Noise of a sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FULL = 255


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of the electronics and Poisson noise of the light."""

    gaussian: float = 0.0
    """Standard deviation of the same size everywhere, in steps of 255."""

    poisson: float = 0.0
    """Standard deviation at white, in steps of 255; it falls with the square root of the brightness."""

    grey: bool = False
    """Whether all channels of a pixel have the same noise."""

    def apply(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Add noise to an image.

        Args:
            image: (H, W, channels).
            random: Where it is drawn from.

        Returns:
            An image of the same shape, rounded and clipped.
        """
        bright = image.astype(np.float64)
        source = bright.mean(axis=2, keepdims=True) if self.grey else bright
        added = np.zeros_like(source)
        if self.poisson > 0:
            # Photons that make a step of brightness: n of them vary by the root of n.
            photons = _FULL / self.poisson**2
            added += random.poisson(source * photons) / photons - source
        if self.gaussian > 0:
            added += random.normal(0, self.gaussian, source.shape)
        noisy: NDArray[np.uint8] = (bright + added).round().clip(0, _FULL).astype(np.uint8)
        return noisy
