"""Formats that libvips' wheel does not read: HEIC by pillow-heif, BMP, PNM and JPEG 2000 by Pillow.

Both come with an extra. A picture is decoded as a whole, and handed to libvips in memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.errors import ImageReadError, MissingExtraError
from dvmsr.images.source import SourceFile

KINDS = {"HEIC": (), "BMP": ("BMP",), "PNM": ("PPM",), "JPEG 2000": ("JPEG2000",)}
"""The kinds of files, with Pillow's names for them; HEIC has another library."""

_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBX": "RGB",
}
_HEAD_BYTES = 1024
_GREY_16_BITS = ("I", "I;16", "I;16L", "I;16B")
_INTERPRETATIONS = {
    (False, True): "b-w",
    (False, False): "srgb",
    (True, True): "grey16",
    (True, False): "rgb16",
}
_FIELDS = {"icc_profile": "icc-profile-data", "exif": "exif-data", "xmp": "xmp-data"}


class OtherImage:
    """A file that has been opened by another library than libvips.

    Args:
        source: The file.

    Raises:
        MissingExtraError: The library is not installed.
        ImageReadError: The file is damaged, or its pixels are of a kind that is not read.
    """

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._opened = self._open()
        self.width, self.height = self._opened.size
        self.notes: list[str] = []
        """What is lost in decoding, a line each."""
        if source.kind in ("PNM", "JPEG 2000") and self._opened.mode == "RGB" and self._bits() > 8:
            self.notes.append(
                f"colours of {self._bits()} bits are read as 8: by Pillow {source.kind} has no more"
            )
        count = len(self._opened) if source.kind == "HEIC" else 1
        if count > 1:
            self.notes.append(f"of {count} pictures the main one is enlarged: others of HEIC are not read")
        self._image: pyvips.Image | None = None

    def decode(self) -> pyvips.Image:
        """Decode the picture; only the first call does.

        Returns:
            An image in memory, upright, with its profile, EXIF and XMP data.

        Raises:
            ImageReadError: The file is damaged, or its pixels are of a kind that is not read.
        """
        if self._image is None:
            try:
                pixels = self._heic_pixels() if self._source.kind == "HEIC" else self._pillow_pixels()
            except ImageReadError:
                raise
            except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
                raise damaged(self._source, error) from error
            self._image = to_vips(pixels, self._opened.info)
        return self._image

    def _open(self) -> Any:
        if self._source.kind != "HEIC":
            return open_by_pillow(self._source, *KINDS[self._source.kind])
        with self._source.open() as file:
            content = io.BytesIO(file.read())
        try:
            import pillow_heif

            return pillow_heif.open_heif(content, convert_hdr_to_8bit=False)
        except ModuleNotFoundError as error:
            raise _missing(self._source, "pillow-heif") from error
        except Exception as error:  # as above
            raise damaged(self._source, error) from error

    def _bits(self) -> int:
        """Bits of a sample, as the file says at its beginning."""
        with self._source.open() as file:
            head = file.read(_HEAD_BYTES)
        if self._source.kind == "PNM":
            match = re.match(rb"P\d(?:\s+|#[^\n]*\n)+\d+\s+\d+\s+(\d+)\s", head)
            return int(match[1]).bit_length() if match else 8
        # The marker SIZ (ITU-T T.800, A.5.1): the depth of the first component follows 38 bytes of sizes.
        depth = head.find(b"\xff\x51") + 40
        return (head[depth] & 0x7F) + 1 if 40 <= depth < len(head) else 8

    def _heic_pixels(self) -> NDArray[Any]:
        pixels = np.asarray(self._opened)
        if pixels.dtype == np.uint16:
            # They are shifted to the upper of 16 bits, which leaves white below its full value.
            pixels = pixels | pixels >> int(self._opened.info.get("bit_depth", 10))
        return pixels

    def _pillow_pixels(self) -> NDArray[Any]:
        mode = self._opened.mode
        if mode in _GREY_16_BITS:
            grey = np.asarray(self._opened)
            if grey.min() < 0 or grey.max() > np.iinfo(np.uint16).max:
                raise ImageReadError(f"{self._source.path}: more than 16 bits; convert it first")
            return grey.astype(np.uint16)
        if mode not in _MODES:
            raise ImageReadError(
                f"{self._source.path}: expected 8 or 16 bit grey or RGB, got mode {mode}; convert it first"
            )
        transparent = mode == "P" and "transparency" in self._opened.info
        return np.asarray(self._opened.convert("RGBA" if transparent else _MODES[mode]))


def open_by_pillow(source: SourceFile, *formats: str) -> Any:
    """Open a file by Pillow, as one of its formats.

    Raises:
        MissingExtraError: Pillow is not installed.
        ImageReadError: The file is damaged.
    """
    with source.open() as file:
        content = io.BytesIO(file.read())
    try:
        from PIL import Image

        from dvmsr.images.pillow_reading import without_limit

        with without_limit():
            return Image.open(content, formats=formats)
    except ModuleNotFoundError as error:
        raise _missing(source, "pillow") from error
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        raise damaged(source, error) from error


def damaged(source: SourceFile, error: Exception) -> ImageReadError:
    """Say in one line why another library cannot read a file."""
    # Pillow names the object that it was given.
    cause = re.sub(r"<_io\.BytesIO[^>]*>", source.kind, " ".join(str(error).split()))
    return ImageReadError(
        f"{source.path}: damaged or cut short ({cause or type(error).__name__}); get a whole copy of the file"
    )


def to_vips(pixels: NDArray[Any], info: Mapping[str, Any]) -> pyvips.Image:
    """Make an image of libvips' of pixels in memory.

    Args:
        pixels: (H, W) or (H, W, channels) of uint8 or uint16.
        info: Pillow's, with the profile, EXIF and XMP data.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    deep, grey = pixels.dtype == np.uint16, pixels.shape[2] < 3
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    image = image.copy(interpretation=_INTERPRETATIONS[deep, grey])
    for name, field in _FIELDS.items():
        if data := info.get(name):
            image.set_type(pyvips.GValue.blob_type, field, data)
    return image


def _missing(source: SourceFile, package: str) -> MissingExtraError:
    return MissingExtraError(package, "heic", f"{source.path}: reading {source.kind} files")
