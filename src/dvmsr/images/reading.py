"""Reading image files a few rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images.decoding import PIXEL_TYPES, Decoder, read_error
from dvmsr.images.limits import MAX_PIXELS, check_memory, check_pixels
from dvmsr.images.metadata.reading import Metadata, read_metadata
from dvmsr.images.pages import find_pictures
from dvmsr.images.source import SourceFile
from dvmsr.images.tiff_structure import strip_bytes

_ROWS_AT_ONCE = 64
# Bytes for each pixel by which the peak of the process rose in decoding 36 to 144 megapixels, rounded up.
_WHOLE_IMAGE_BYTES = {"WebP": 8, "AVIF": 16, "GIF": 5, "HEIC": 16, "BMP": 8, "PNM": 8, "JPEG 2000": 24}
# Of a picture to be turned, libvips keeps more than that in a file.
_TURNED_BYTES = 100 << 20
# Rows that libvips keeps between its threads.
_ROWS_KEPT = 256


class ImageReader:
    """An image file whose header has been read; made by :func:`open_image`."""

    def __init__(
        self,
        decoder: Decoder,
        image: pyvips.Image,
        *,
        turned: bool,
        decoding_bytes: int,
        frames: int = 1,
        animated: bool = False,
        has_more: bool = False,
        notes: Iterable[str] = (),
    ) -> None:
        self._decoder = decoder
        self.source = decoder.source
        """The file's bytes."""
        self.path: Path = decoder.source.path
        """The file."""
        self.width: int = image.width
        """Columns, after the EXIF orientation has been applied."""
        self.height: int = image.height // frames
        """Rows, after the EXIF orientation has been applied; of an animation, those of a frame."""
        self.frames = frames
        """Frames of an animation that are read; 1 of a picture."""
        self.animated = animated or frames > 1
        """Whether the file is an animation, of which the first frame alone may be read."""
        self.has_more = has_more
        """Whether the file holds pages or frames beside the one that is read."""
        self.dtype: np.dtype[Any] = np.dtype(PIXEL_TYPES[image.format])
        """uint8 or uint16."""
        self.grey: bool = image.bands < 3
        """Whether the file holds one channel of brightness."""
        self.has_alpha: bool = image.bands in (2, 4)
        """Whether the file holds transparency."""
        self.turned = turned
        """Whether the pixels lie otherwise in the file, and are turned upright."""
        self.decoding_bytes = decoding_bytes
        """About how much memory decoding takes."""
        self.notes: list[str] = [*notes, *decoder.notes]
        """What was chosen or is lost in reading and writing this file, a line each."""

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel, before or after it is enlarged."""
        return ((1 if self.grey else 3) + self.has_alpha) * self.dtype.itemsize

    def decode(self) -> pyvips.Image:
        """Open the file as libvips' image; see ``Decoder.decode``.

        Raises:
            pyvips.Error: The file cannot be opened or is damaged.
        """
        return self._decoder.decode()

    def copy_timing(self, image: pyvips.Image, height: int) -> None:
        """Make frames of an image that is to be written, with the delays of this animation.

        Args:
            image: The frames one below the other; it is changed.
            height: Rows of a frame.

        Raises:
            pyvips.Error: The file cannot be opened or is damaged.
        """
        original = self.decode()
        image.set_type(pyvips.GValue.gint_type, "page-height", height)
        for name in ("delay", "loop"):
            if original.get_typeof(name):
                image.set_type(original.get_typeof(name), name, original.get(name))

    def metadata(self) -> Metadata:
        """Read what belongs to the picture beside its pixels.

        Raises:
            pyvips.Error: The file cannot be opened or is damaged.
            OSError: The file cannot be read any more.
        """
        return read_metadata(self.source, self.decode(), self._decoder.page)

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
            alpha where there is one, not multiplied into the colours. Of an animation, the rows of one frame
            after the other, none in a block with those of another.

        Raises:
            ArgumentError: ``rows`` is below 1.
            ImageReadError: The file is damaged or cut short.
        """
        if rows < 1:
            raise ArgumentError(f"rows must be a whole number from 1, got {rows}")
        try:
            self._decoder.check()
            image = self._decoder.decode()
            for frame in range(self.frames):
                yield from _fetch(image, self.dtype, rows, frame * self.height, self.height)
        except pyvips.Error as error:
            raise read_error(self.source, error) from error

    @cached_property
    def opaque(self) -> bool:
        """Whether no pixel is transparent. To find out, the image is decoded once.

        Raises:
            ImageReadError: The file is damaged or cut short.
        """
        if not self.has_alpha:
            return True
        try:
            return bool(self._decoder.decode()[-1].min() == np.iinfo(self.dtype).max)
        except pyvips.Error as error:
            raise read_error(self.source, error) from error

    def bicubic_alpha(self, width: int, height: int, rows: int) -> Iterator[NDArray[Any]]:
        """Enlarge the alpha channel by bicubic interpolation.

        Args:
            width: Columns of the result.
            height: Rows of the result.
            rows: Rows of the result in a block, from 1; the last block can have less.

        Yields:
            Blocks of (rows, width, 1) of ``dtype``.

        Raises:
            ImageReadError: The file is damaged or cut short.
        """
        try:
            alpha = _enlarge(self._decoder.decode()[-1], width, height)
            yield from _fetch(alpha, self.dtype, rows, 0, alpha.height)
        except pyvips.Error as error:
            raise read_error(self.source, error) from error


def open_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> ImageReader:
    """Read the header of an image file, and find out whether it can be read.

    Grey and RGB of 1 to 16 bits, palettes, and CMYK and Lab (converted to sRGB), with or without alpha. Of an
    animation the first frame, of several pages the first that is no thumbnail; its notes say so.

    Args:
        path: The file, or a named pipe, which is read to its end.
        max_pixels: Most pixels that are taken.

    Returns:
        The image, its pixels not yet decoded.

    Raises:
        ImageReadError: The file is missing, empty, damaged, no image, or of pixels of another kind; it has
            more pixels than ``max_pixels``, or decoding it needs more memory than is free.
        MissingExtraError: It is of a kind that is read by a library which is not installed.
    """
    source = SourceFile(Path(path))
    decoder = Decoder(source)
    pictures = find_pictures(source, decoder)
    if pictures.pages[0] != 0:
        decoder = Decoder(SourceFile(source.path), pictures.pages[0])
    has_more = pictures.animated or len(pictures.pages) > 1
    return _open(decoder, max_pixels, animated=pictures.animated, has_more=has_more, notes=pictures.notes)


def open_pictures(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> list[ImageReader]:
    """Read the headers of all pictures of a file.

    Args:
        path: The file.
        max_pixels: Most pixels that are taken of a page, and of all frames of an animation.

    Returns:
        Of a TIFF file each page that is no thumbnail, of an animation one image of all frames, of other files
        the picture.

    Raises:
        ImageReadError: As of :func:`open_image`.
        MissingExtraError: As of :func:`open_image`; or it is an animated PNG or AVIF file without Pillow.
    """
    source = SourceFile(Path(path))
    decoder = Decoder(source)
    pictures = find_pictures(source, decoder)
    if pictures.animated:
        decoder = Decoder(source, all_frames=True)
        return [_open(decoder, max_pixels, frames=decoder.frames)]
    if pictures.pages == (0,):
        return [_open(decoder, max_pixels, notes=pictures.notes)]
    return [_open(Decoder(SourceFile(source.path), page), max_pixels) for page in pictures.pages]


def _open(
    decoder: Decoder,
    max_pixels: int,
    *,
    frames: int = 1,
    animated: bool = False,
    has_more: bool = False,
    notes: Iterable[str] = (),
) -> ImageReader:
    path = decoder.source.path
    width, height = decoder.size()
    check_pixels(path, width, height, max_pixels)
    if decoder.source.kind in _WHOLE_IMAGE_BYTES:
        check_memory(path, width * height // frames * _WHOLE_IMAGE_BYTES[decoder.source.kind])
    check_memory(path, decoder.held_row_bytes * height)
    header = decoder.header()
    decoding_bytes = _decoding_bytes(decoder.source.kind, header) // frames
    if decoder.source.kind == "TIFF":
        with decoder.source.open() as file:
            decoding_bytes += strip_bytes(file, decoder.page)
    decoding_bytes += decoder.held_row_bytes * height
    check_memory(path, decoding_bytes)
    try:
        turned = bool(header.get_typeof("orientation")) and header.get("orientation") > 1
        return ImageReader(
            decoder,
            decoder.decode(),
            turned=turned,
            decoding_bytes=decoding_bytes,
            frames=frames,
            animated=animated,
            has_more=has_more,
            notes=notes,
        )
    except pyvips.Error as error:
        raise read_error(decoder.source, error) from error


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a whole image file.

    Args:
        path: The file; see :func:`open_image`.

    Returns:
        The pixels without alpha, (H, W, 3) of uint8 or uint16.

    Raises:
        ImageReadError: The file is missing, empty, damaged, no image, of pixels of another kind, or too large
            for the memory that is free.
    """
    reader = open_image(path)
    needed = reader.width * reader.height * 3 * reader.dtype.itemsize
    check_memory(reader.path, needed + reader.decoding_bytes)
    image = np.empty((reader.height, reader.width, 3), reader.dtype)
    top = 0
    for block in reader.blocks(_ROWS_AT_ONCE):
        image[top : top + len(block)] = block
        top += len(block)
    return image


def _fetch(
    image: pyvips.Image, dtype: np.dtype[Any], rows: int, first: int, count: int
) -> Iterator[NDArray[Any]]:
    """Read some rows of an image, at most ``rows`` at a time."""
    region = pyvips.Region.new(image)
    for top in range(first, first + count, rows):
        height = min(rows, first + count - top)
        pixels = region.fetch(0, top, image.width, height)
        yield np.frombuffer(pixels, dtype).reshape(height, image.width, image.bands)


def _enlarge(alpha: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Enlarge one channel by bicubic interpolation, the borders of both images at the same place."""
    # With vips_resize() they are half a pixel of the result apart.
    return alpha.affine(
        [width / alpha.width, 0, 0, height / alpha.height],
        interpolate=pyvips.Interpolate.new("bicubic"),
        idx=0.5,
        idy=0.5,
        odx=-0.5,
        ody=-0.5,
        oarea=[0, 0, width, height],
        extend="copy",
    )


def _decoding_bytes(kind: str, header: pyvips.Image) -> int:
    """How much memory decoding takes at most."""
    width, height, bands = int(header.width), int(header.height), int(header.bands)
    samples = bands * (1 if header.format == "uchar" else 2)
    rows = width * samples * _ROWS_KEPT
    pixels = width * height
    if kind in _WHOLE_IMAGE_BYTES:
        return rows + pixels * _WHOLE_IMAGE_BYTES[kind]
    # Of a progressive JPEG all coefficients are kept, 2 bytes each; of an interlaced PNG the pixels.
    if header.get_typeof("interlaced") and header.get("interlaced"):
        return rows + pixels * (2 * bands if kind == "JPEG" else samples)
    if header.get_typeof("orientation") and header.get("orientation") > 2:
        return rows + min(pixels * samples, _TURNED_BYTES)
    return rows
