"""EXIF data in AVIF files: libvips writes it only through a library that drops the tags it does not know.

So libvips is given a place-holder, and the item is then pointed to the right data at the file's end (ISO/IEC
14496-12, sections 8.11.3 iloc and 8.11.6 iinf).
"""

from __future__ import annotations

import struct
from pathlib import Path

from dvmsr.images.metadata.exif import PREFIX


def replace_exif(path: Path, block: bytes) -> bool:
    """Replace the EXIF data of an AVIF file.

    Args:
        path: The file.
        block: The data.

    Returns:
        Whether the file had such data to be replaced.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("r+b") as file:
        data = file.read()
        place = _find_extent(data)
        if place is None:
            return False
        at, offset_bytes, length_bytes, base = place
        # Four bytes say where the TIFF header begins, which follows the prefix (ISO/IEC 23008-12, annex A).
        payload = struct.pack(">I", len(PREFIX)) + PREFIX + block
        file.seek(0, 2)
        file.write(struct.pack(">I", 8 + len(payload)) + b"mdat")
        start = file.tell()
        file.write(payload)
        file.seek(at)
        file.write((start - base).to_bytes(offset_bytes, "big") + len(payload).to_bytes(length_bytes, "big"))
    return True


def _find_extent(data: bytes) -> tuple[int, int, int, int] | None:
    """Where the EXIF data's place is written, the bytes of its offset and of its length, and its base."""
    meta = _box(data, b"meta", 0, len(data))
    if meta is None:
        return None
    start, end = meta[0] + 4, meta[1]
    items, places = _box(data, b"iinf", start, end), _box(data, b"iloc", start, end)
    if items is None or places is None:
        return None
    number = _exif_item(data, *items)
    return None if number is None else _extent(data, places[0], number)


def _box(data: bytes, kind: bytes, at: int, end: int) -> tuple[int, int] | None:
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return None
        if name == kind:
            return at + 8, at + size
        at += size
    return None


def _exif_item(data: bytes, at: int, end: int) -> int | None:
    at += 6 if data[at] == 0 else 8
    while (box := _box(data, b"infe", at, end)) is not None:
        start, at = box
        wide = data[start] >= 3
        number = int.from_bytes(data[start + 4 : start + (8 if wide else 6)], "big")
        name = start + (10 if wide else 8)
        if data[name : name + 4] == b"Exif":
            return number
    return None


def _extent(data: bytes, at: int, number: int) -> tuple[int, int, int, int] | None:
    version, sizes = data[at], int.from_bytes(data[at + 4 : at + 6], "big")
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    count = int.from_bytes(data[at + 6 : at + 6 + wide], "big")
    at += 6 + wide
    for _ in range(count):
        item = int.from_bytes(data[at : at + wide], "big")
        at += wide + (2 if version else 0) + 2
        base_offset = int.from_bytes(data[at : at + base], "big")
        extents = int.from_bytes(data[at + base : at + base + 2], "big")
        at += base + 2
        if version:
            at += index
        if item == number:
            fits = extents == 1 and offset and length
            return (at, offset, length, base_offset) if fits else None
        at += extents * (offset + length + (index if version else 0)) - (index if version else 0)
    return None
