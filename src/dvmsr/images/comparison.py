"""A picture of an image before and after: enlarged by interpolation, and by the network."""

from __future__ import annotations

import os
from pathlib import Path

import pyvips

from dvmsr.atomic import unfinished_file
from dvmsr.errors import ImageWriteError
from dvmsr.images.decoding import reason
from dvmsr.images.reading import open_image
from dvmsr.targets import exists_error

_LARGEST_SIDE = 1024
_GAP = 8
_WHITE = [255.0]


def comparison_path(target: Path) -> Path:
    """Return where the picture of a result is written: NAME_compare.png beside it."""
    return target.with_name(f"{target.stem}_compare.png")


def comparison_size(width: int, height: int) -> tuple[int, int]:
    """Return the columns and rows of the picture of a result of so many columns and rows."""
    return 2 * min(width, _LARGEST_SIDE) + _GAP, min(height, _LARGEST_SIDE)


def check_comparison(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Find out before the work whether the picture of a result may be written.

    Args:
        source: The image; it is never overwritten.
        target: What it is enlarged to.
        overwrite: Whether an existing picture is replaced.

    Raises:
        ImageWriteError: It exists, or would be written over the image.
    """
    path = comparison_path(target)
    if not path.exists():
        return
    if path.samefile(source):
        raise ImageWriteError(f"{path}: is the input file itself; choose another name for the result")
    if not overwrite:
        raise exists_error(path, ImageWriteError)


def write_comparison(source: Path, target: Path, *, overwrite: bool = False) -> Path:
    """Write a picture of the middle of an image: bicubic interpolation on the left, the result on the right.

    Args:
        source: The image.
        target: What it was enlarged to.
        overwrite: Whether an existing picture is replaced.

    Returns:
        The picture's path; it shows at most 1024x1024 pixels of the result, pixel by pixel, in 8 bits.

    Raises:
        ImageReadError: An image cannot be read.
        ImageWriteError: The picture exists or cannot be written.
    """
    path = comparison_path(target)
    check_comparison(source, target, overwrite=overwrite)
    low, high = open_image(source), open_image(target)
    width, height = min(high.width, _LARGEST_SIDE), min(high.height, _LARGEST_SIDE)
    area = [(high.width - width) // 2, (high.height - height) // 2, width, height]
    try:
        before = _shown(low.decode()).affine(
            [high.width / low.width, 0, 0, high.height / low.height],
            interpolate=pyvips.Interpolate.new("bicubic"),
            # The borders of both images at the same place, not the centres of their first pixels.
            idx=0.5,
            idy=0.5,
            odx=-0.5,
            ody=-0.5,
            oarea=area,
            extend="copy",
        )
        after = _shown(high.decode()).crop(*area)
        both = before.join(after, "horizontal", shim=_GAP, background=_WHITE)
        with unfinished_file(path.parent, path.suffix) as partial:
            both.write_to_target(pyvips.Target.new_to_file(os.fsencode(partial)), ".png")
            partial.replace(path)
    except pyvips.Error as error:
        raise ImageWriteError(f"{path}: cannot be written ({reason(error)}); check the disk") from error
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _shown(image: pyvips.Image) -> pyvips.Image:
    """As sRGB of 8 bits, on white."""
    image = image.colourspace("srgb").cast("uchar")
    return image.flatten(background=_WHITE) if image.hasalpha() else image
