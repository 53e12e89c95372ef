"""Writing a picture together with what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pyvips

from dvmsr.images.colour import ColourDescription
from dvmsr.images.metadata import avif, exif, iptc, jpeg, png, tiff, webp, xmp
from dvmsr.images.metadata.reading import Metadata
from dvmsr.images.tiff_structure import TiffStructureError

_IMAGE_DESCRIPTION, _RESOLUTION, _IPTC = 270, (282, 283, 296), 33723
_ASCII, _UNDEFINED = 2, 7
# Formats that say without a profile how colours are to be shown.
_HOLDING_DESCRIPTIONS = ("PNG", "AVIF")
# libvips' flags of what it writes itself.
_KEEP_EXIF, _KEEP_XMP, _KEEP_PROFILE = 1, 2, 8
_BLOB = pyvips.GValue.blob_type
# What is encoded of so many pixels is held in memory. A larger file passes through Python part by part, which
# costs a small one a fifth of its encoding.
_HELD_PIXELS = 1 << 21


def save(
    image: pyvips.Image, path: Path, format_name: str, metadata: Metadata, options: dict[str, Any]
) -> list[str]:
    """Encode an image into a file with its metadata, and nothing that it had not.

    Args:
        image: The pixels.
        path: The file, whose suffix chooses libvips' saver.
        format_name: "PNG", "JPEG", "TIFF", "WebP", "AVIF" or "GIF".
        metadata: What belongs to the picture.
        options: Arguments of libvips' saver.

    Returns:
        What is lost, a line each.

    Raises:
        pyvips.Error: The image cannot be decoded or encoded.
        OSError: The file cannot be written.
        MemoryError: There is too little memory.
    """
    lost = list(metadata.lost)
    if metadata.colours is not None and format_name not in _HOLDING_DESCRIPTIONS:
        profile = metadata.colours.to_profile(grey=image.bands < 3)
        if profile is None:
            lost.append(
                f"{metadata.colours.name} is lost, so colours look different: {format_name} cannot say it; "
                "write PNG or AVIF"
            )
        metadata = replace(metadata, profile=profile, colours=None)
    return lost + _WRITERS[format_name](image, path, metadata, options)


def _save_png(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    lost = _lost("PNG", iptc=metadata.iptc)
    chunks = []
    if metadata.profile is not None:
        # The colour space of the profile must be that of the pixels.
        if (metadata.profile[16:20] == b"GRAY") == (image.bands < 3):
            chunks.append(png.encode_profile(metadata.profile))
        else:
            lost.append("the colour profile is lost: it is not of the picture's colour space")
    elif metadata.colours is not None:
        chunks += png.encode_colours(metadata.colours)
    if metadata.resolution is not None:
        chunks.append(png.encode_resolution(metadata.resolution))
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        chunks.append(png.encode_xmp(metadata.xmp))
    chunks += [png.encode_text(keyword, text) for keyword, text in metadata.texts]
    _save_through(lambda file: png.PngHead(file, chunks), image, path, options)
    return lost


def _save_jpeg(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    segments = [jpeg.encode_jfif(metadata.resolution)]
    if metadata.exif is not None:
        segments.append(jpeg.encode_exif(metadata.exif))
    if metadata.xmp is not None:
        segments.append(jpeg.encode_xmp(metadata.xmp))
    if metadata.iptc is not None:
        segments.append((jpeg.APP13, iptc.wrap(metadata.iptc)))
    if metadata.profile is not None:
        segments += jpeg.encode_profile(metadata.profile)
    for keyword, text in metadata.texts:
        line = text if keyword == "Comment" else f"{keyword}: {text}"
        segments.append((jpeg.COMMENT, line.encode()))
    names = {jpeg.APP1: "EXIF or XMP data", jpeg.APP13: "the IPTC data", jpeg.COMMENT: "a text"}
    fitting = [segment for segment in segments if len(segment[1]) <= jpeg.LARGEST_SEGMENT]
    lost = [
        f"{names[marker]} of {len(data):,} bytes is lost: JPEG holds {jpeg.LARGEST_SEGMENT:,}"
        for marker, data in segments
        if len(data) > jpeg.LARGEST_SEGMENT
    ]
    _save_through(lambda file: jpeg.JpegHead(file, fitting), image, path, options)
    return lost


def _save_webp(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    _save_directly(image, path, 0, options)
    parts = {b"ICCP": metadata.profile, b"EXIF": metadata.exif, b"XMP ": metadata.xmp}
    chunks = [(name, data) for name, data in parts.items() if data is not None]
    webp.add_chunks(path, chunks, image.width, image.height)
    return _lost("WebP", iptc=metadata.iptc, texts=metadata.texts, resolution=_beside_exif(metadata))


def _save_avif(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    points = metadata.colours.code_points if metadata.colours is not None else None
    profile = metadata.profile
    if metadata.colours is not None:
        # A profile whose room in the file is then taken by the code points.
        described = metadata.colours if points is None else ColourDescription()
        profile = described.to_profile(grey=False)
    lost = []
    if profile is not None and profile[16:20] == b"GRAY":
        profile = None
        lost.append("the colour profile is lost: AVIF holds none for shades of grey")
    _set(image, "icc-profile-data", profile)
    _set(image, "xmp-data", metadata.xmp)
    keep = _KEEP_XMP | _KEEP_PROFILE
    if metadata.exif is not None:
        _set(image, "exif-data", exif.PREFIX + metadata.exif)
        keep |= _KEEP_EXIF
    _save_directly(image, path, keep, options)
    lost += _lost("AVIF", iptc=metadata.iptc, texts=metadata.texts, resolution=_beside_exif(metadata))
    if points is not None:
        avif.replace_profile(path, points)
    if metadata.exif is not None and not avif.replace_exif(path, metadata.exif):
        lost.append("EXIF tags that are not of the standard are lost: AVIF")
    return lost


def _save_tiff(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    lost = []
    lines = [t if keyword == "Comment" else f"{keyword}: {t}" for keyword, t in metadata.texts]
    text = "\n".join(lines)
    packet = metadata.xmp
    if packet is None and not text.isascii():
        # The tag for a description is of ASCII by the standard. Many programs read UTF-8 there, and not all.
        packet = xmp.describe(text)
    _set(image, "icc-profile-data", metadata.profile)
    _set(image, "xmp-data", packet)
    if metadata.resolution is not None:
        image = image.copy(xres=metadata.resolution[0], yres=metadata.resolution[1])
    _save_directly(image, path, _KEEP_XMP | _KEEP_PROFILE, options)
    tags: exif.Tags = {}
    groups: dict[int, exif.Tags] = {}
    if metadata.exif is not None:
        try:
            tags, groups = exif.to_tags(metadata.exif)
        except TiffStructureError:
            lost.append("the EXIF data is damaged, and left out")
    own = _RESOLUTION if metadata.resolution is not None else ()
    tags = {tag: value for tag, value in tags.items() if tag not in (exif.ORIENTATION, *own)}
    if metadata.iptc is not None:
        tags = {**tags, _IPTC: (_UNDEFINED, len(metadata.iptc), metadata.iptc)}
    if metadata.texts:
        if _IMAGE_DESCRIPTION in tags:
            lost.append("the text or comment is lost: TIFF holds one, and has a description")
        else:
            data = text.encode() + b"\0"
            tags = {**tags, _IMAGE_DESCRIPTION: (_ASCII, len(data), data)}
    tiff.replace_tags(path, tags, groups, resolution=bool(own))
    return lost


def _save_gif(image: pyvips.Image, path: Path, metadata: Metadata, options: dict[str, Any]) -> list[str]:
    _save_directly(image, path, 0, options)
    parts = {"profile": metadata.profile, "exif": metadata.exif, "xmp": metadata.xmp, "iptc": metadata.iptc}
    return _lost("GIF", **parts, texts=metadata.texts, resolution=metadata.resolution)


_WRITERS: dict[str, Callable[[pyvips.Image, Path, Metadata, dict[str, Any]], list[str]]] = {
    "PNG": _save_png,
    "JPEG": _save_jpeg,
    "WebP": _save_webp,
    "AVIF": _save_avif,
    "TIFF": _save_tiff,
    "GIF": _save_gif,
}


def _lost(format_name: str, **parts: object) -> list[str]:
    names = {
        "profile": "the colour profile is",
        "exif": "the EXIF data is",
        "xmp": "the XMP data is",
        "iptc": "the IPTC data is",
        "texts": "the text or comment is",
        "resolution": "the resolution is",
    }
    return [f"{names[part]} lost: {format_name} holds none" for part, value in parts.items() if value]


def _beside_exif(metadata: Metadata) -> bool:
    """Whether there is a resolution that the EXIF data does not have."""
    found = exif.find(metadata.exif, _RESOLUTION[:1]) if metadata.exif is not None else {}
    return metadata.resolution is not None and not found


def _set(image: pyvips.Image, name: str, data: bytes | None) -> None:
    if data is not None:
        image.set_type(_BLOB, name, data)


def _save_directly(image: pyvips.Image, path: Path, keep: int, options: dict[str, Any]) -> None:
    target = pyvips.Target.new_to_file(os.fsencode(path))
    image.write_to_target(target, path.suffix.lower(), keep=keep, **options)


class _Head(Protocol):
    def write(self, data: bytes) -> None: ...


def _save_through(
    make_head: Callable[[Any], _Head], image: pyvips.Image, path: Path, options: dict[str, Any]
) -> None:
    """Encode into a file by way of what replaces its beginning."""
    failures: list[OSError | MemoryError] = []
    suffix = path.suffix.lower()
    with path.open("wb") as file:
        head = make_head(file)
        if image.width * image.height <= _HELD_PIXELS:
            head.write(image.write_to_buffer(suffix, keep=0, **options))
            return

        def write(data: Any) -> int:
            # libvips cannot hear of an exception.
            try:
                head.write(bytes(data))
            except (OSError, MemoryError) as error:
                failures.append(error)
                return -1
            return len(data)

        target = pyvips.TargetCustom()
        target.on_write(write)
        try:
            image.write_to_target(target, suffix, keep=0, **options)
        except pyvips.Error:
            if failures:
                raise failures[0] from None
            raise
