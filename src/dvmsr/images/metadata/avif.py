"""Metadata in AVIF files (ISO/IEC 14496-12, sections 8.11.3 iloc, 8.11.6 iinf and 12.1.5 colr).

libvips writes EXIF data only through a library that drops the tags it does not know, and of what says how
colours are to be shown only ICC profiles. So it is given place-holders, which are then replaced in the file.
"""

from __future__ import annotations

import struct
from pathlib import Path

from dvmsr.images.metadata.exif import PREFIX

_COLOUR_PATH = (b"meta", b"iprp", b"ipco", b"colr")
_BT601_MATRIX, _FULL_RANGE = 6, 0x80


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


def read_code_points(data: bytes) -> tuple[int, int] | None:
    """Return the primaries and the transfer by which a file says how its colours are to be shown."""
    properties = _path(data, b"meta", b"iprp", b"ipco")
    at, end = properties if properties is not None else (0, 0)
    while (box := _box(data, b"colr", at, end)) is not None:
        start, at = box
        if data[start : start + 4] == b"nclx" and at - start >= 11:
            primaries, transfer = struct.unpack_from(">HH", data, start + 4)
            return primaries, transfer
    return None


def replace_profile(path: Path, code_points: tuple[int, int]) -> None:
    """Put code points into an AVIF file where it has an ICC profile, which is what libvips can write.

    Args:
        path: The file.
        code_points: Primaries and transfer by H.273.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("r+b") as file:
        data = file.read()
        boxes = [_path(data, *_COLOUR_PATH[: depth + 1]) for depth in range(len(_COLOUR_PATH))]
        inner = boxes[-1]
        if inner is None:
            return
        # The matrix and the range are those by which libheif has encoded the picture.
        described = b"nclx" + struct.pack(">HHHB", *code_points, _BT601_MATRIX, _FULL_RANGE)
        spared = inner[1] - inner[0] - len(described)
        file.seek(inner[0])
        file.write(described)
        outer = boxes[0]
        assert outer is not None
        # What follows in the metadata moves up, and a box of nothing keeps the pixels where they are.
        file.write(data[inner[1] : outer[1]])
        file.write(struct.pack(">I", spared) + b"free" + bytes(spared - 8))
        for box in boxes:
            assert box is not None
            file.seek(box[0] - 8)
            file.write(struct.pack(">I", box[1] - box[0] + 8 - spared))


def _path(data: bytes, *kinds: bytes) -> tuple[int, int] | None:
    """Where the content of a box in boxes begins and ends."""
    at, end = 0, len(data)
    for kind in kinds:
        box = _box(data, kind, at, end)
        if box is None:
            return None
        at, end = box
        if kind == b"meta":
            at += 4
    return (at - 4, end) if kinds == (b"meta",) else (at, end)


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
