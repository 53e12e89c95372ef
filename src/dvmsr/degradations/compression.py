"""Lossy compression, by the codecs that people's pictures went through."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import MissingExtraError


@dataclass(frozen=True)
class Compression:
    """Once through a codec and back."""

    quality: int
    """The codec's own scale, 1 to 100."""

    codec: Literal["jpeg", "webp"] = "jpeg"
    """JPEG by libjpeg, lossy WebP by libwebp; both through Pillow."""

    subsampled: bool = True
    """Whether JPEG halves the resolution of its colours (4:2:0); WebP always does."""

    offset: tuple[int, int] = (0, 0)
    """Rows and columns by which the grid of blocks begins before the image, as after it was cropped."""

    @property
    def suffix(self) -> str:
        """The suffix of its files."""
        return ".jpg" if self.codec == "jpeg" else ".webp"

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compress an image and decode it.

        Args:
            image: (H, W, 3).

        Returns:
            An image of the same shape.

        Raises:
            MissingExtraError: Pillow is not installed.
        """
        file = io.BytesIO(self.encode(image))
        from PIL import Image

        top, left = self.offset
        with Image.open(file) as opened:
            return np.asarray(opened.convert("RGB"))[top:, left:]

    def encode(self, image: NDArray[np.uint8]) -> bytes:
        """Compress an image into the bytes of a file, with ``offset`` more rows and columns.

        Args:
            image: (H, W, 3).

        Raises:
            MissingExtraError: Pillow is not installed.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise MissingExtraError("pillow", "train", "compressing images to learn or score from") from error
        top, left = self.offset
        padded = np.pad(image, ((top, 0), (left, 0), (0, 0)), mode="edge")
        file = io.BytesIO()
        if self.codec == "jpeg":
            subsampling = "4:2:0" if self.subsampled else "4:4:4"
            Image.fromarray(padded).save(file, "JPEG", quality=self.quality, subsampling=subsampling)
        else:
            Image.fromarray(padded).save(file, "WEBP", quality=self.quality, method=2)
        return file.getvalue()
