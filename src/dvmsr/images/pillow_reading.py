"""Reading image files by Pillow, for machines that train and have no libvips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dvmsr.errors import ImageReadError


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a whole image file, as ``dvmsr.images.reading.read_image`` does.

    Args:
        path: The file. Of more than one channel, 16 bits are read as 8.

    Returns:
        The pixels without alpha, upright, (H, W, 3) of uint8 or, for grey ones of 16 bits, uint16.

    Raises:
        ImageReadError: The file is missing, empty, damaged or no image.
    """
    path = Path(path)
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                grey = np.asarray(image).astype(np.uint16)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise ImageReadError(f"{path}: no such file; check its name") from error
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        raise ImageReadError(f"{path}: damaged or no image ({error})") from error
