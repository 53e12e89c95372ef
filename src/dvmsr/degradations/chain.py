"""The way of an image from the scene to the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvmsr.degradations.blur import Blur
from dvmsr.degradations.compression import Compression
from dvmsr.degradations.noise import Noise
from dvmsr.degradations.reduction import Reduction, reduce


@dataclass(frozen=True)
class Degradation:
    """Blur, reduction, noise and compression, in this order; the defaults are a clean bicubic reduction.

    The order and its kinds are those of the classical model of degradation, as in Real-ESRGAN (arXiv
    2107.10833, section 3.1).
    """

    blur: Blur | None = None
    """Of the HR image."""

    reduction: Reduction = "bicubic"
    """How the LR image is made."""

    noise: Noise | None = None
    """Of the LR image."""

    compressions: tuple[Compression, ...] = ()
    """Of the LR image, one after the other."""

    def apply(self, high: NDArray[np.uint8], scale: int, random: np.random.Generator) -> NDArray[np.uint8]:
        """Make the LR image of an HR image.

        Args:
            high: (scale * H, scale * W, 3).
            scale: Enlargement that is to undo the reduction.
            random: Where noise is drawn from.

        Returns:
            (H, W, 3).

        Raises:
            MissingExtraError: A step needs Pillow, and it is not installed.
        """
        if self.blur is not None:
            high = self.blur.apply(high)
        low = reduce(high, scale, self.reduction)
        if self.noise is not None:
            low = self.noise.apply(low, random)
        for compression in self.compressions:
            low = compression.apply(low)
        return low
