"""Reading image files by Pillow, for machines that train and have no libvips."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dvmsr.errors import ImageReadError

# Of other modes libvips makes other pixels, or refuses them as well.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_GREY_16_BITS = "I;16"

_limit_lock = threading.Lock()


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a whole image file, as ``dvmsr.images.reading.read_image`` does.

    Args:
        path: The file. Of more than one channel, 16 bits are read as 8.

    Returns:
        The pixels without alpha, upright, (H, W, 3) of uint8 or, for grey ones of 16 bits, uint16.

    Raises:
        ImageReadError: The file is missing, empty, damaged, no image, or of pixels of another kind.
    """
    path = Path(path)
    try:
        with _open(path) as opened:
            if opened.mode not in _MODES and not opened.mode.startswith(_GREY_16_BITS):
                raise ImageReadError(
                    f"{path}: expected 8 or 16 bit grey or RGB, got mode {opened.mode}; convert it first"
                )
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(_GREY_16_BITS):
                grey = np.asarray(image).astype(np.uint16)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except ImageReadError:
        raise
    except FileNotFoundError as error:
        raise ImageReadError(f"{path}: no such file; check its name") from error
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        raise ImageReadError(f"{path}: damaged or no image ({error})") from error


def _open(path: Path) -> Image.Image:
    """Open an image of any size: Pillow takes large photographs for attacks."""
    with without_limit():
        return Image.open(path)


@contextmanager
def without_limit() -> Iterator[None]:
    """Let Pillow open images of any size, which it takes for attacks."""
    """Let Pillow open images of any size, which it takes for attacks."""
    with _limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
