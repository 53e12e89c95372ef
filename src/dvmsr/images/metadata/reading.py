"""Reading what belongs to a picture beside its pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pyvips

from dvmsr.images.colour import ColourDescription
from dvmsr.images.metadata import avif, exif, gif, iptc, jpeg, png
from dvmsr.images.source import SourceFile
from dvmsr.images.tiff_structure import TiffStructure, TiffStructureError

_RESOLUTION, _RESOLUTION_UNIT, _NO_UNIT = 282, 296, 1
_PROFILE_HEADER_BYTES = 128
# As attributes or as elements (XMP, part 1, section 7; the properties of part 2).
_XMP_VALUE = r"(:{name}(?:\s*=\s*[\"']|\s*>))\s*\d+"


@dataclass(frozen=True)
class Metadata:
    """What belongs to a picture beside its pixels."""

    exif: bytes | None = None
    """EXIF data, as a block in the structure of a TIFF file."""

    xmp: bytes | None = None
    """An XMP packet."""

    iptc: bytes | None = None
    """IPTC data."""

    profile: bytes | None = None
    """An ICC profile."""

    colours: ColourDescription | None = None
    """How colours are to be shown where there is no profile; None for sRGB."""

    resolution: tuple[float, float] | None = None
    """Columns and rows to a millimetre, where the file says so beside its EXIF data."""

    texts: tuple[tuple[str, str], ...] = ()
    """Keyword and text of what PNG files hold; of comments in other formats the keyword is "Comment"."""

    lost: tuple[str, ...] = ()
    """What could not be read."""

    def for_enlarged(self, width: int, height: int, *, turned: bool) -> Metadata:
        """Return what goes with the enlarged picture.

        Args:
            width: Its columns.
            height: Its rows.
            turned: Whether its pixels were turned upright; else XMP's orientation stays.
        """
        block, lost = self.exif, list(self.lost)
        if block is not None:
            try:
                block = exif.upright(block, width, height)
            except TiffStructureError:
                block = None
                lost.append("the EXIF data is damaged and left out")
        packet = self.xmp
        if packet is not None:
            values = {"PixelXDimension": width, "PixelYDimension": height, "ImageWidth": width}
            values |= {"ImageLength": height} | ({"Orientation": 1} if turned else {})
            for name, value in values.items():
                pattern = _XMP_VALUE.replace("{name}", name).encode()
                packet = re.sub(pattern, rb"\g<1>%d" % value, packet)
        return replace(self, exif=block, xmp=packet, lost=tuple(lost))


def read_metadata(source: SourceFile, image: pyvips.Image, page: int = 0) -> Metadata:
    """Read what belongs to a picture.

    Args:
        source: The file.
        image: The picture as libvips opened it.
        page: Its number in a TIFF file, from 0.

    Raises:
        OSError: The file cannot be read any more.
    """

    def field(name: str) -> bytes | None:
        return bytes(image.get(name)) if image.get_typeof(name) else None

    lost = []
    block = field("exif-data")
    if block is not None:
        block = block.removeprefix(exif.PREFIX)
    resolution, colours = None, ColourDescription()
    texts: list[tuple[str, str]] = []
    with source.open() as file:
        if source.kind == "TIFF":
            try:
                structure = TiffStructure(file)
                directory = list(structure.directories())[page]
                block = exif.from_tiff(structure, directory)
                unit = directory.entries.get(_RESOLUTION_UNIT)
                if _RESOLUTION in directory.entries and (
                    unit is None or structure.values(unit)[0] > _NO_UNIT
                ):
                    resolution = image.xres, image.yres
            except (TiffStructureError, IndexError):
                lost.append("the TIFF tags are damaged, and left out")
        elif source.kind == "JPEG":
            for marker, segment in jpeg.read_segments(file):
                if marker == jpeg.COMMENT:
                    texts.append(("Comment", _text(segment)))
                elif marker == jpeg.APP0:
                    resolution = resolution or jpeg.decode_resolution(segment)
        elif source.kind == "GIF":
            texts += [("Comment", _text(comment)) for comment in gif.read_comments(file)]
        elif source.kind in ("AVIF", "HEIC"):
            colours = ColourDescription(code_points=avif.read_code_points(file.read()))
        elif source.kind == "PNG":
            for kind, data in png.read_chunks(file):
                colours = png.describe_colours(colours, kind, data)
                if (text := png.decode_text(kind, data)) is not None:
                    # ImageMagick's way to store EXIF data, of the old picture.
                    if text[0].startswith("Raw profile type "):
                        lost.append(f'the PNG text "{text[0]}" is left out')
                    else:
                        texts.append(text)
                elif kind == b"pHYs" and data[8:] == b"\1":
                    resolution = image.xres, image.yres
    resources = field("iptc-data")
    profile = field("icc-profile-data")
    if profile is not None:
        size = int.from_bytes(profile[:4], "big")
        if not _PROFILE_HEADER_BYTES <= size <= len(profile):
            lost.append("the colour profile is damaged, and left out")
            profile = None
        else:
            # Some writers pad it, which others take for damage.
            profile = profile[:size]
    return Metadata(
        exif=block,
        xmp=field("xmp-data"),
        iptc=iptc.unwrap(resources) if resources is not None else None,
        profile=profile,
        colours=None if profile is not None or colours.usual else colours,
        resolution=resolution,
        texts=tuple(texts),
        lost=tuple(lost),
    )


def _text(data: bytes) -> str:
    data = data.rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
