"""From a file's bytes to an upright libvips image of 8 or 16 bit grey or RGB."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyvips

from dvmsr.errors import ImageReadError
from dvmsr.images.animation import KINDS as ANIMATED_KINDS
from dvmsr.images.animation import Animation
from dvmsr.images.other_formats import KINDS, OtherImage
from dvmsr.images.source import RAW, SourceFile
from dvmsr.images.suffixes import RAW_ADVICE
from dvmsr.images.tiff_repair import OddPixels, repair, to_pixels


def _text_of(text: Any) -> str:
    """What pyvips makes of libvips' messages, which it takes for UTF-8: a damaged file's may be none."""
    if text == pyvips.ffi.NULL:
        return ""
    found = pyvips.ffi.string(text)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


# Else an error of libvips is one of decoding text, and stays for the next file.
pyvips.error._to_string = _text_of
pyvips._to_string = _text_of

# Whatever a file is named, no other loader of libvips' is meant to see it.
pyvips.block_untrusted_set(True)

READABLE = "PNG, JPEG, TIFF, WebP, AVIF, GIF, HEIC, BMP, PNM or JPEG 2000"
"""The kinds of files that are read, for messages."""

PIXEL_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
"""The types of samples by libvips' names."""

_LOADERS = {
    "PNG": "pngload_source",
    "JPEG": "jpegload_source",
    "TIFF": "tiffload_source",
    "WebP": "webpload_source",
    "AVIF": "heifload_source",
    "GIF": "gifload_source",
}
_CONVERTED_SPACES = ("cmyk", "lab", "labq", "labs")
_COLOURS = {"b-w": 1, "grey16": 1, "rgb": 3, "srgb": 3, "rgb16": 3}

# A smaller JPEG file is decoded once: its pixels are kept from the look for what is missing.
_HELD_BYTES = 1 << 20

# What libjpeg says where pixels are missing or wrong. Its other warnings are of harmless oddities.
_MISSING_PIXELS = ("premature end of data segment", "bad Huffman code")
_UNSUPPORTED = re.compile(
    r"not (been )?(configured|implemented|built in|supported)|[Uu]nsupported|tile size out of range"
)


class Decoder:
    """Decodes one picture of a file, as often as it is asked to.

    Args:
        source: The file.
        page: Number of the page of a TIFF file, from 0.
        all_frames: Whether the frames of an animation are one picture, one below the other.

    Raises:
        ImageReadError: The file is of a kind that is not read.
        MissingExtraError: A library is not installed that reads it.
    """

    def __init__(self, source: SourceFile, page: int = 0, *, all_frames: bool = False) -> None:
        self.source = source
        """The file."""
        self.page = page
        """Number of the page, from 0."""
        self._odd: OddPixels | None = None
        self._other: OtherImage | Animation | None = None
        if source.kind in KINDS:
            self._other = OtherImage(source)
        elif all_frames and source.kind in ANIMATED_KINDS:
            self._other = Animation(source)
        if source.kind == RAW:
            raise ImageReadError(f"{source.path}: {RAW_ADVICE}")
        if source.kind not in _LOADERS and self._other is None:
            raise ImageReadError(
                f"{source.path}: {source.kind} is not supported; expected {READABLE}: convert it first"
                if source.kind
                else f"{source.path}: not an image that is read here, or one cut short; expected {READABLE}"
            )
        if source.kind == "TIFF":
            self._odd = repair(source, page)
        self._options = {"page": page} if source.kind == "TIFF" else {}
        if all_frames:
            self._options["n"] = -1
        self._checked = False
        # Opened for its header, and none of its pixels read yet.
        self._unread: pyvips.Image | None = None
        # Decoded, in memory.
        self._held: pyvips.Image | None = None
        self._converted: str | None = None

    def size(self) -> tuple[int, int]:
        """Width and height, neither turned nor decoded.

        Raises:
            ImageReadError: The file is damaged or not supported.
        """
        if self._other is not None:
            return self._other.width, self._other.height
        header = self.header()
        width = header.width if self._odd is None or self._odd.lab else self._odd.width
        return width, header.height

    @property
    def frames(self) -> int:
        """How many frames an animation has, where all are decoded."""
        if isinstance(self._other, Animation):
            return self._other.frames
        header = self.header()
        return int(header.get("n-pages")) if header.get_typeof("n-pages") else 1

    @property
    def held_row_bytes(self) -> int:
        """Bytes of a row where the whole picture is held in memory, beside what its kind takes; else 0."""
        if isinstance(self._other, Animation):
            return 4 * self._other.width
        return 2 * self._odd.width * self._odd.samples if self._odd is not None else 0

    def header(self) -> pyvips.Image:
        """Open the picture as it lies in the file, as far as possible without looking at its pixels.

        They are not to be read of what is returned: :meth:`decode` goes on with it.

        Raises:
            ImageReadError: The file is damaged or not supported.
        """
        if self._other is not None:
            return self._other.decode()
        if self._unread is None:
            try:
                self._unread = self._load()
            except pyvips.Error as error:
                raise read_error(self.source, error) from error
        return self._unread

    @property
    def notes(self) -> list[str]:
        """What is lost or changed in decoding, a line each."""
        if self._other is not None:
            return self._other.notes
        return (
            [] if self._converted is None else [f"{self._converted} becomes RGB, which is what is enlarged"]
        )

    def check(self) -> None:
        """Decode a JPEG file once, to find out whether pixels are missing.

        libjpeg only warns of some of what is wrong, and goes on with other pixels.

        Raises:
            ImageReadError: Pixels are missing.
        """
        if self.source.kind != "JPEG" or self._checked:
            return
        self._checked = True
        try:
            image = self._load(fail_on="warning")
            if image.width * image.height * image.bands <= _HELD_BYTES:
                self._held = image.copy_memory()
            else:
                image.avg()
        except pyvips.Error as error:
            # Of harmless oddities it warns as well. What is an error will be one when the file is read.
            if any(words in str(error) for words in _MISSING_PIXELS):
                raise read_error(self.source, error) from error

    def decode(self) -> pyvips.Image:
        """Open the picture, to be read once from its top to its bottom.

        Returns:
            Upright, of 8 or 16 bit grey or RGB, alpha last; with the file's metadata, except for an ICC
            profile that no longer fits.

        Raises:
            pyvips.Error: The file cannot be opened or is damaged.
            ImageReadError: The pixels are of another kind.
        """
        if self._other is not None:
            return self._other.decode()
        image, self._unread = self._held or self._unread or self._load(), None
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        # 2 mirrors each row. Those above need the last row first.
        if orientation > 2 and image is not self._held:
            image = self._load(access="random")
        if self._odd is not None:
            image = to_pixels(image, self._odd)
        if orientation > 1:
            image = image.autorot()
        if image.interpretation in _CONVERTED_SPACES:
            self._converted = "CMYK" if image.interpretation == "cmyk" else "Lab"
            image = _to_rgb(image)
        colours = _COLOURS.get(image.interpretation)
        if image.format not in PIXEL_TYPES or colours is None or image.bands - colours not in (0, 1):
            raise ImageReadError(
                f"{self.source.path}: expected 8 or 16 bit grey, RGB, CMYK or Lab, got {image.bands} "
                f"channels of {image.format} in {image.interpretation}; convert it first"
            )
        return image

    def _load(self, access: str = "sequential", fail_on: str = "error") -> pyvips.Image:
        # Below "error", what is missing of a damaged file comes out grey.
        source = self.source.to_vips()
        image = getattr(pyvips.Image, _LOADERS[self.source.kind])(
            source, access=access, fail_on=fail_on, **self._options
        )
        # As pyvips does for the loaders that it chooses itself: the source lives as long as the image.
        image._references.append(source)
        return image


def read_error(source: SourceFile, error: pyvips.Error) -> ImageReadError:
    """Say in one line why libvips cannot read a file."""
    cause = reason(error)
    if "out of memory" in str(error):
        return ImageReadError(f"{source.path}: too little memory to read it ({cause}); free some")
    if _UNSUPPORTED.search(str(error)):
        return ImageReadError(
            f"{source.path}: this {source.kind} file is of a kind that is not supported ({cause}); "
            "convert it first, for instance to PNG"
        )
    return ImageReadError(f"{source.path}: damaged or cut short ({cause}); get a whole copy of the file")


def reason(error: Exception) -> str:
    """The last line of what a library says, which is the closest to the cause."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip()


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
