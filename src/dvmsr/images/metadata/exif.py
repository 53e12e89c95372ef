"""EXIF data: a block in the structure of a TIFF file (CIPA DC-008, section 4.5).

A block is changed in place, so that tags that no library knows and maker notes, which point at places in the
block, stay as they are. Only on the way from a TIFF file or into one are its tags written anew.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping

from dvmsr.images.tiff_structure import (
    VALUE_BYTES,
    Directory,
    Entry,
    TiffStructure,
    TiffStructureError,
)

PREFIX = b"Exif\0\0"
"""What stands before a block in some formats."""

ORIENTATION = 274
EXIF_DIRECTORY, GPS_DIRECTORY = 34665, 34853
_INTEROPERABILITY = 40965
_WIDTHS, _HEIGHTS = (40962,), (40963,)
_THUMBNAIL, _THUMBNAIL_BYTES = 513, 514
_SWAPPED_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

# Tags of a TIFF file that say how its pixels lie in it or what they mean, and those that hold other metadata
# (TIFF 6.0; 330 and 347 of its supplements; XMP, IPTC, Photoshop and ICC).
_OF_PIXELS = (
    *(*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 297, 301),
    *(*range(317, 326), 330, *range(332, 335), *range(336, 343), 347, *range(512, 522), *range(529, 533)),
    *(559, 700, 32995, 32996, 32997, 32998, 33723, 34377, 34675),
)

Tags = Mapping[int, tuple[int, int, bytes]]
"""Type, count and values, in little-endian order, by tag."""


def upright(block: bytes, width: int, height: int) -> bytes:
    """Return a block for the enlarged picture: upright, of its size, without the old preview.

    Args:
        block: The source's, without :data:`PREFIX`.
        width: Columns of the picture that is written.
        height: Its rows.

    Raises:
        TiffStructureError: The block is damaged.
    """
    changed = bytearray(block)
    structure = TiffStructure(io.BytesIO(block))

    def put(entry: Entry, number: int) -> None:
        if entry.count == 1 and structure.values(entry) and number < 1 << 8 * VALUE_BYTES[entry.kind]:
            changed[entry.at : entry.at + entry.size] = structure.encode(entry, number)

    for directory in _all_directories(structure):
        for tags, number in (((ORIENTATION,), 1), (_WIDTHS, width), (_HEIGHTS, height)):
            for tag in tags:
                if tag in directory.entries:
                    put(directory.entries[tag], number)
    main = structure.directory(structure.first)
    if main.following:
        thumbnail = _thumbnail(structure, main.following)
        changed[main.following_at : main.following_at + 4] = bytes(4)
        if thumbnail is not None:
            start, size = thumbnail
            if start + size >= len(changed) - 1:
                del changed[start:]
            else:
                changed[start : start + size] = bytes(size)
    return bytes(changed)


def from_tiff(structure: TiffStructure, directory: Directory) -> bytes | None:
    """Collect the EXIF data of a TIFF file, which is spread over its directories.

    Args:
        structure: The file.
        directory: Of the picture.

    Returns:
        A block of its own; None where there is nothing but what describes the pixels.

    Raises:
        TiffStructureError: The file's directories are damaged.
    """
    main = {
        tag: value
        for tag, value in _tags(structure, directory).items()
        if tag not in _OF_PIXELS and tag not in (EXIF_DIRECTORY, GPS_DIRECTORY)
    }
    groups = {tag: _group(structure, directory, tag) for tag in (EXIF_DIRECTORY, GPS_DIRECTORY)}
    groups = {tag: group for tag, group in groups.items() if group}
    # Every TIFF file has a resolution and an orientation, and they say nothing alone.
    if not groups and not set(main) - {ORIENTATION, 282, 283, 296}:
        return None
    return serialize(main, groups)


def to_tags(block: bytes) -> tuple[Tags, dict[int, Tags]]:
    """Take a block apart, to be written into a TIFF file.

    Returns:
        The main tags, and those of the EXIF and GPS directories by the tag that points to each.

    Raises:
        TiffStructureError: The block is damaged.
    """
    structure = TiffStructure(io.BytesIO(block))
    main = structure.directory(structure.first)
    tags = _tags(structure, main)
    kept = {
        tag: value
        for tag, value in tags.items()
        if tag not in _OF_PIXELS and tag not in (EXIF_DIRECTORY, GPS_DIRECTORY)
    }
    groups = {tag: _group(structure, main, tag) for tag in (EXIF_DIRECTORY, GPS_DIRECTORY)}
    return kept, {tag: group for tag, group in groups.items() if group}


def serialize(main: Tags, groups: Mapping[int, Tags]) -> bytes:
    """Write tags as a block, little-endian, each directory before its values."""
    start = 8
    data = b"II*\0" + struct.pack("<I", start)
    parts = []
    at = start + directory_bytes(len(main) + len(groups), main)
    pointers = {}
    for pointer, tags in groups.items():
        pointers[pointer] = (4, 1, struct.pack("<I", at))
        parts.append(write_directory(tags, at))
        at += len(parts[-1])
    return data + write_directory({**main, **pointers}, start) + b"".join(parts)


def directory_bytes(count: int, tags: Tags) -> int:
    """Bytes that :func:`write_directory` writes for a number of tags, of which these may have far values."""
    far = sum(len(data) + len(data) % 2 for _, _, data in tags.values() if len(data) > 4)
    return 2 + 12 * count + 4 + far


def write_directory(tags: Tags, at: int) -> bytes:
    """Write a directory of 4-byte places, the last of its file, that will lie at a place; then its values."""
    far_at = at + 2 + 12 * len(tags) + 4
    entries, far = [], b""
    for tag, (kind, count, data) in sorted(tags.items()):
        field = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", far_at + len(far))
        if len(data) > 4:
            far += data + bytes(len(data) % 2)
        entries.append(struct.pack("<HHI", tag, kind, count) + field)
    return struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + far


def _all_directories(structure: TiffStructure) -> Iterator[Directory]:
    main = structure.directory(structure.first)
    yield main
    for tag in (EXIF_DIRECTORY,):
        if tag in main.entries and (place := structure.values(main.entries[tag])):
            yield structure.directory(place[0])


def _group(structure: TiffStructure, directory: Directory, pointer: int) -> Tags:
    entry = directory.entries.get(pointer)
    place = structure.values(entry) if entry is not None else ()
    if not place:
        return {}
    tags = _tags(structure, structure.directory(place[0]))
    # It points to a place in the old file. What lies there says only that this is EXIF data.
    return {tag: value for tag, value in tags.items() if tag != _INTEROPERABILITY}


def _tags(structure: TiffStructure, directory: Directory) -> dict[int, tuple[int, int, bytes]]:
    return {
        tag: (entry.kind, entry.count, _little_endian(structure, entry))
        for tag, entry in directory.entries.items()
        if entry.kind not in (16, 17, 18)
    }


def _little_endian(structure: TiffStructure, entry: Entry) -> bytes:
    data = structure.raw(entry)
    width = _SWAPPED_BYTES.get(entry.kind)
    if structure.order == "<" or width is None:
        return data
    return b"".join(_reversed(data[at : at + width]) for at in range(0, len(data), width))


def _reversed(data: bytes) -> bytes:
    return data[::-1]


def _thumbnail(structure: TiffStructure, at: int) -> tuple[int, int] | None:
    try:
        entries = structure.directory(at).entries
        start, size = (structure.values(entries[tag])[0] for tag in (_THUMBNAIL, _THUMBNAIL_BYTES))
    except (TiffStructureError, KeyError, IndexError):
        return None
    return start, size


def find(block: bytes, tags: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Return whole numbers from a block's main directory; nothing of a damaged one."""
    try:
        structure = TiffStructure(io.BytesIO(block))
        entries = structure.directory(structure.first).entries
        return {tag: structure.values(entries[tag]) for tag in tags if tag in entries}
    except TiffStructureError:
        return {}
