"""The way of an image from the scene to the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvmsr.degradations.blur import Blur
from dvmsr.degradations.compression import Compression
from dvmsr.degradations.noise import Noise
from dvmsr.degradations.reduction import Reduction, reduce
from dvmsr.errors import ArgumentError


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
        low = self._before_compression(high, scale, random)
        for compression in self.compressions:
            low = compression.apply(low)
        return low

    @property
    def leaves_file(self) -> bool:
        """Whether what people get is the file of the last compression, its grid of blocks not shifted."""
        return bool(self.compressions) and self.compressions[-1].offset == (0, 0)

    @property
    def suffix(self) -> str:
        """The suffix of the file that people get: a PNG file where no compression leaves one."""
        return self.compressions[-1].suffix if self.leaves_file else ".png"

    def encode(self, high: NDArray[np.uint8], scale: int, random: np.random.Generator) -> bytes:
        """Make the LR image of an HR image as the file that the last compression leaves.

        Args:
            high: (scale * H, scale * W, 3).
            scale: Enlargement that is to undo the reduction.
            random: Where noise is drawn from.

        Returns:
            The file, whose pixels are those of :meth:`apply`.

        Raises:
            ArgumentError: No compression leaves a file; see :attr:`leaves_file`.
            MissingExtraError: Pillow is not installed.
        """
        if not self.leaves_file:
            raise ArgumentError("expected a degradation that ends with a compression without an offset")
        low = self._before_compression(high, scale, random)
        for compression in self.compressions[:-1]:
            low = compression.apply(low)
        return self.compressions[-1].encode(low)

    def _before_compression(
        self, high: NDArray[np.uint8], scale: int, random: np.random.Generator
    ) -> NDArray[np.uint8]:
        if self.blur is not None:
            high = self.blur.apply(high)
        low = reduce(high, scale, self.reduction)
        return low if self.noise is None else self.noise.apply(low, random)
