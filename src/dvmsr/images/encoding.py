"""Encoding an image file while its rows arrive: the formats, and the passage of rows into libvips."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images.metadata.writing import save
from dvmsr.images.png_stream import write_png_stream
from dvmsr.images.reading import ImageReader


@dataclass(frozen=True)
class Format:
    """What a file format can hold, and how libvips is told to write it."""

    name: str
    """Name for people."""

    largest_side: int | None = None
    """Largest width and height in pixels."""

    bits: int = 16
    """Most bits of a sample."""

    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of libvips' saver."""

    lossless: dict[str, Any] | None = None
    """More arguments that make it lose nothing; None where that cannot be."""

    whole_image_bytes: tuple[int, int] = (0, 0)
    """Memory for each pixel by which the peak of the process rose in encoding 4 to 17 megapixels, without and
    with alpha; 0 where it does not grow with the height."""

    frames: bool = False
    """Whether it can be written as an animation."""

    pages: bool = False
    """Whether it can be written with several pages."""

    @property
    def has_quality(self) -> bool:
        """Whether it can be told how much detail to keep."""
        return "Q" in self.options


@dataclass(frozen=True)
class Encoding:
    """How an image file is compressed."""

    quality: int | None = None
    """How much detail JPEG, WebP and AVIF keep, from 1 to 100; None for their defaults. PNG and TIFF keep
    everything."""

    lossless: bool = False
    """Whether nothing may be lost, in WebP and AVIF too."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ArgumentError(f"quality must be from 1 to 100, got {self.quality}")
        if self.quality is not None and self.lossless:
            raise ArgumentError("expected either a quality or lossless, got both")


DEFAULT_ENCODING = Encoding()

# The lightest compression after a filter: a fifth smaller than libvips' default, in a third of its time.
_PNG = Format("PNG", options={"compression": 1, "filter": "up"}, lossless={})
_JPEG = Format(
    "JPEG",
    largest_side=65_500,
    bits=8,
    # White, as on paper: JPEG has no alpha.
    options={"Q": 95, "subsample_mode": "off", "background": [255.0]},
)
_TIFF = Format(
    "TIFF",
    # In tiles: a viewer can then show a part of a large image without decoding the rows beside it.
    options={
        "compression": "deflate",
        "predictor": "horizontal",
        "tile": True,
        "tile_width": 256,
        "tile_height": 256,
    },
    lossless={},
    pages=True,
)
_WEBP = Format(
    "WebP",
    largest_side=16_383,
    bits=8,
    options={"Q": 95, "smart_subsample": True},
    lossless={"lossless": True, "exact": True},
    whole_image_bytes=(16, 35),
    frames=True,
)
_AVIF = Format(
    "AVIF",
    largest_side=16_384,
    bits=12,
    options={"Q": 90, "subsample_mode": "off", "compression": "av1"},
    lossless={"lossless": True},
    whole_image_bytes=(50, 75),
)
_GIF = Format(
    "GIF",
    largest_side=65_535,
    bits=8,
    options={"dither": 1.0},
    whole_image_bytes=(12, 12),
    frames=True,
)
FORMATS: dict[str, Format] = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
    ".avif": _AVIF,
    ".gif": _GIF,
}
"""The formats by suffix, in lower case."""


def encoding_bytes(path: Path, width: int, height: int, *, alpha: bool) -> int:
    """Return about how much memory encoding takes beyond a few rows.

    Args:
        path: The file to write, its suffix one of :data:`FORMATS`.
        width: Columns of the enlarged image.
        height: Rows of the enlarged image.
        alpha: Whether it has transparency.
    """
    return FORMATS[path.suffix.lower()].whole_image_bytes[alpha] * width * height


_CLASSIC_TIFF_BYTES = 4_000_000_000


class EncodingError(Exception):
    """The file cannot be written; unlike an error of the system where the rows are computed."""


# A larger image is encoded while its rows come.
_WHOLE_BYTES = 16 << 20


def encode(
    rows: Iterable[NDArray[Any]],
    source: ImageReader,
    width: int,
    height: int,
    encoding: Encoding,
    path: Path,
    *,
    file_bytes: int | None = None,
) -> None:
    """Compute rows and encode them into a file, as ``encode_stream`` does for all but small images.

    Of a small image all rows are computed first: the way through a pipe would take a fortieth of the time
    that the network takes, which is half of what the codecs take. For arguments and errors see there.
    """
    channels = (1 if source.grey else 3) + source.has_alpha
    rows_in_all = source.frames * height
    if rows_in_all * width * channels * source.dtype.itemsize > _WHOLE_BYTES:
        encode_stream(rows, source, width, height, encoding, path, file_bytes=file_bytes)
        return
    pixels = np.empty((rows_in_all, width, channels), source.dtype)
    top = 0
    for block in rows:
        pixels[top : top + len(block)] = block
        top += len(block)
    spaces = ("b-w", "grey16") if source.grey else ("srgb", "rgb16")
    image = pyvips.Image.new_from_array(pixels, interpretation=spaces[source.dtype == np.uint16])
    _save(image, source, encoding, path, height, file_bytes)


def encode_stream(
    rows: Iterable[NDArray[Any]],
    source: ImageReader,
    width: int,
    height: int,
    encoding: Encoding,
    path: Path,
    *,
    file_bytes: int | None = None,
) -> None:
    """Compute rows and encode them into a file.

    The rows are computed in the calling thread and libvips encodes in another, with a pipe between the two:
    an exception in a callback from libvips would be lost, and Ctrl-C only reaches the main thread, and only
    while that runs Python.

    Args:
        rows: (rows, width, 1) arrays of a grey source, else (rows, width, 3); with the source's alpha one
            channel more.
        source: The image that was enlarged, for its metadata.
        width: Columns of the enlarged image.
        height: Rows of the enlarged image.
        encoding: How it is compressed.
        path: The file to write, its suffix one of :data:`FORMATS`. On an error, part of it may be there.
        file_bytes: Bytes of all pixels of the file, if there will be more than these.

    Raises:
        pyvips.Error: The source cannot be read again or the file not written.
        EncodingError: The file cannot be written.
    """
    read_end, write_end = os.pipe()
    failed = Event()

    def encode() -> None:
        try:
            stream = pyvips.Source.new_from_descriptor(read_end)
            image = pyvips.Image.new_from_source(stream, "", access="sequential", fail_on="error")
            # Not the one that libvips keeps.
            image = image.copy()
            _save(image, source, encoding, path, height, file_bytes)
        except BaseException:
            failed.set()
            raise
        finally:
            # Whoever is writing must not wait for ever when the encoder stopped early.
            while os.read(read_end, 1 << 16):
                pass
            os.close(read_end)

    def until_failed() -> Iterator[NDArray[Any]]:
        for block in rows:
            if failed.is_set():
                return
            yield block

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dvmsr-encode") as pool:
        # Closed first, which ends the stream, then the pool waits for its thread.
        with os.fdopen(write_end, "wb") as stream:
            encoded = pool.submit(encode)
            write_png_stream(
                stream,
                until_failed(),
                height=source.frames * height,
                width=width,
                channels=(1 if source.grey else 3) + source.has_alpha,
                bits=8 * source.dtype.itemsize,
            )
        encoded.result()


def _save(
    image: pyvips.Image,
    source: ImageReader,
    encoding: Encoding,
    path: Path,
    height: int,
    file_bytes: int | None,
) -> None:
    file_format = FORMATS[path.suffix.lower()]
    if source.dtype == np.uint16 and file_format.bits == 8:
        image = (image / 257).rint().cast("uchar").copy(interpretation="b-w" if source.grey else "srgb")
    options = dict(file_format.options)
    if encoding.lossless:
        options |= file_format.lossless or {}
    elif encoding.quality is not None and file_format.has_quality:
        options["Q"] = encoding.quality
    if file_format is _TIFF:
        own_bytes = image.width * image.height * image.bands * source.dtype.itemsize
        options["bigtiff"] = (file_bytes or own_bytes) > _CLASSIC_TIFF_BYTES
    metadata = source.metadata().for_enlarged(image.width, height, turned=source.turned)
    if source.frames > 1:
        source.copy_timing(image, height)
    try:
        lost = save(image, path, file_format.name, metadata, options)
    except OSError as error:
        raise EncodingError(error.strerror or str(error)) from error
    source.notes += [*_lost_pixels(source, file_format), *lost]


def _lost_pixels(source: ImageReader, file_format: Format) -> list[str]:
    lost = []
    if file_format is _JPEG and not source.opaque:
        lost.append("the transparency is lost: JPEG holds none; what was transparent is white")
    if file_format is _GIF:
        lost.append("the colours of each picture become 256: GIF holds no more; write PNG or WebP")
        if not source.opaque:
            lost.append("the transparency becomes all or nothing: GIF holds no more")
    if source.dtype == np.uint16 and file_format.bits < 16:
        lost.append(f"{file_format.bits} of 16 bits are kept: {file_format.name} holds no more")
    return lost
