"""Reading image files a few rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError, ImageReadError

_PIXEL_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
_CONVERTED_SPACES = ("cmyk", "lab", "labq", "labs")
_ROWS_AT_ONCE = 64


class ImageReader:
    """An image file whose header has been read; made by :func:`open_image`."""

    def __init__(self, path: Path, image: pyvips.Image) -> None:
        self.path = path
        """The file."""
        self.width: int = image.width
        """Columns, after the EXIF orientation has been applied."""
        self.height: int = image.height
        """Rows, after the EXIF orientation has been applied."""
        self.dtype: np.dtype[Any] = np.dtype(_PIXEL_TYPES[image.format])
        """uint8 or uint16."""
        self.grey: bool = image.bands < 3
        """Whether the file holds one channel of brightness."""
        self.has_alpha: bool = image.bands in (2, 4)
        """Whether the file holds transparency."""

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Decode the image from its top to its bottom.

        Args:
            rows: Rows in a block, from 1; the last block can have less.

        Yields:
            Blocks of (rows, width, 3) of ``dtype``, contiguous, without alpha; of a grey image all three
            channels are the same.

        Raises:
            ArgumentError: ``rows`` is below 1.
            ImageReadError: The file is damaged or cut short.
        """
        for samples in self.samples(rows):
            colours = samples[..., :-1] if self.has_alpha else samples
            yield np.repeat(colours, 3, axis=2) if self.grey else np.ascontiguousarray(colours)

    def samples(self, rows: int) -> Iterator[NDArray[Any]]:
        """Decode the image from its top to its bottom, each channel that the file has.

        Memory does not grow with the height, save where the format itself asks for it: interlaced PNG and
        progressive JPEG, WebP, AVIF, and images to be turned upright.

        Args:
            rows: Rows in a block, from 1; the last block can have less.

        Yields:
            Blocks of (rows, width, channels) of ``dtype``: one channel of a grey image, else three, and then
            alpha where there is one, not multiplied into the colours.

        Raises:
            ArgumentError: ``rows`` is below 1.
            ImageReadError: The file is damaged or cut short.
        """
        if rows < 1:
            raise ArgumentError(f"rows must be a whole number from 1, got {rows}")
        try:
            image = decode(self.path)
            yield from _fetch(image, self.dtype, rows)
        except pyvips.Error as error:
            raise _damaged(self.path, error) from error

    @cached_property
    def opaque(self) -> bool:
        """Whether no pixel is transparent. To find out, the image is decoded once.

        Raises:
            ImageReadError: The file is damaged or cut short.
        """
        if not self.has_alpha:
            return True
        try:
            return bool(decode(self.path)[-1].min() == np.iinfo(self.dtype).max)
        except pyvips.Error as error:
            raise _damaged(self.path, error) from error

    def bicubic_alpha(self, scale: int, rows: int) -> Iterator[NDArray[Any]]:
        """Enlarge the alpha channel by bicubic interpolation.

        Args:
            scale: Enlargement, from 1.
            rows: Rows of the result in a block, from 1; the last block can have less.

        Yields:
            Blocks of (rows, scale * width, 1) of ``dtype``.

        Raises:
            ImageReadError: The file is damaged or cut short.
        """
        try:
            yield from _fetch(_enlarge(decode(self.path)[-1], scale), self.dtype, rows)
        except pyvips.Error as error:
            raise _damaged(self.path, error) from error


def open_image(path: str | os.PathLike[str]) -> ImageReader:
    """Read the header of an image file.

    Grey and RGB of 1 to 16 bits, palettes, and CMYK and Lab (converted to sRGB), with or without alpha. Of an
    animation or a file of several pages, the first.

    Args:
        path: The file.

    Returns:
        The image, its pixels not yet decoded.

    Raises:
        ImageReadError: The file is missing, empty, damaged, no image, or of pixels of another kind.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageReadError(f"{path}: expected an image file, got a folder")
        with path.open("rb") as file:
            if not file.read(1):
                raise ImageReadError(f"{path}: expected an image file, got an empty file")
    except FileNotFoundError as error:
        raise ImageReadError(f"{path}: no such file; check its name") from error
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return ImageReader(path, decode(path))
    except pyvips.Error as error:
        if "not in a known format" in str(error) or "not a known file format" in str(error):
            raise ImageReadError(
                f"{path}: not an image, or one cut short; expected PNG, JPEG, TIFF, WebP, AVIF or GIF"
            ) from error
        raise _damaged(path, error) from error


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a whole image file.

    Args:
        path: The file; see :func:`open_image`.

    Returns:
        The pixels without alpha, (H, W, 3) of uint8 or uint16.

    Raises:
        ImageReadError: The file is missing, empty, damaged, no image, or of pixels of another kind.
    """
    reader = open_image(path)
    image = np.empty((reader.height, reader.width, 3), reader.dtype)
    top = 0
    for block in reader.blocks(_ROWS_AT_ONCE):
        image[top : top + len(block)] = block
        top += len(block)
    return image


def decode(path: Path) -> pyvips.Image:
    """Open a file as an upright libvips image of 8 or 16 bit grey or RGB, alpha last, to be read once.

    Args:
        path: The file.

    Returns:
        The image with the file's metadata, except for an ICC profile that no longer fits.

    Raises:
        pyvips.Error: The file cannot be opened or is damaged.
        ImageReadError: The pixels are of another kind.
    """
    image = _load(path, access="sequential")
    # 1 is upright and 2 mirrors each row. All others need the last row first.
    if image.get_typeof("orientation") and image.get("orientation") > 2:
        image = _load(path, access="random")
    image = image.autorot()
    if image.interpretation in _CONVERTED_SPACES:
        image = _to_rgb(image)
    colours = {"b-w": 1, "grey16": 1, "rgb": 3, "srgb": 3, "rgb16": 3}.get(image.interpretation)
    if image.format not in _PIXEL_TYPES or colours is None or image.bands - colours not in (0, 1):
        raise ImageReadError(
            f"{path}: expected 8 or 16 bit grey, RGB, CMYK or Lab, got {image.bands} channels of "
            f"{image.format} in {image.interpretation}; convert it first"
        )
    return image


def _fetch(image: pyvips.Image, dtype: np.dtype[Any], rows: int) -> Iterator[NDArray[Any]]:
    region = pyvips.Region.new(image)
    for top in range(0, image.height, rows):
        height = min(rows, image.height - top)
        pixels = region.fetch(0, top, image.width, height)
        yield np.frombuffer(pixels, dtype).reshape(height, image.width, image.bands)


def _to_rgb(image: pyvips.Image) -> pyvips.Image:
    """Convert CMYK or Lab, with or without alpha, to RGB of 8 or 16 bits without its old ICC profile."""
    space, kind = ("srgb", "uchar") if image.format == "uchar" else ("rgb16", "ushort")
    colours = 4 if image.interpretation == "cmyk" else 3
    converted = image[:colours].colourspace(space)
    if image.bands > colours:
        # By itself: libvips takes it to range as far as the colours do. Lab's is unsigned in a signed type.
        alpha = image[colours] if kind == "uchar" else image[colours].cast("int") & 0xFFFF
        converted = converted.bandjoin(alpha.cast(kind))
    converted = converted.copy()
    converted.remove("icc-profile-data")
    return converted


def _enlarge(alpha: pyvips.Image, scale: int) -> pyvips.Image:
    """Enlarge one channel by bicubic interpolation, the borders of both images at the same place."""
    # With vips_resize() they are half a pixel of the result apart.
    return alpha.affine(
        [scale, 0, 0, scale],
        interpolate=pyvips.Interpolate.new("bicubic"),
        idx=0.5,
        idy=0.5,
        odx=-0.5,
        ody=-0.5,
        oarea=[0, 0, scale * alpha.width, scale * alpha.height],
        extend="copy",
    )


def _load(path: Path, access: str) -> pyvips.Image:
    # By a source, not by a file name: libvips would take a name's trailing [...] for options.
    source = pyvips.Source.new_from_file(os.fsencode(path))
    # Below "error", what is missing of a damaged file comes out grey.
    return pyvips.Image.new_from_source(source, "", access=access, fail_on="error")


def _damaged(path: Path, error: pyvips.Error) -> ImageReadError:
    return ImageReadError(f"{path}: damaged or cut short ({reason(error)}); get a whole copy of the file")


def reason(error: pyvips.Error) -> str:
    """The last line of what libvips says, which is the closest to the cause."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip()
