"""Metadata in JPEG files (ITU-T T.81, annex B; JFIF 1.02; Exif; XMP, part 3; ICC.1, annex B)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from dvmsr.images.metadata.exif import PREFIX

LARGEST_SEGMENT = 65533
"""Most bytes of a segment."""

APP0, APP1, APP2, APP13, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
QUANTISATION = 0xDB
_START_OF_SCAN = 0xDA
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_GAIN_MAP_PREFIX = b"urn:iso:std:iso:ts:21496:-1\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_MILLIMETRES = {1: 25.4, 2: 10.0}


def read_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Read the segments before the pixels; end where the file is damaged.

    Yields:
        Marker and data.
    """
    file.seek(2)
    while len(head := file.read(2)) == 2:
        if head[0] != 0xFF:
            return
        # Any number of bytes 0xFF may stand before a marker.
        while head[1] == 0xFF:
            head = bytes([0xFF]) + file.read(1)
            if len(head) < 2:
                return
        marker = head[1]
        size = int.from_bytes(file.read(2), "big")
        if marker == _START_OF_SCAN or size < 2:
            return
        yield marker, file.read(size - 2)


def decode_resolution(segment: bytes) -> tuple[float, float] | None:
    """Return the resolution of a JFIF segment in pixels per millimetre; None where it has none."""
    if not segment.startswith(b"JFIF\0") or len(segment) < 12:
        return None
    unit, x, y = struct.unpack(">BHH", segment[7:12])
    if unit not in _MILLIMETRES or not (x and y):
        return None
    return x / _MILLIMETRES[unit], y / _MILLIMETRES[unit]


def is_gain_map(marker: int, segment: bytes) -> bool:
    """Whether a segment says that the file holds a gain map (Ultra HDR 1.1; ISO 21496-1)."""
    if marker == APP1:
        return segment.startswith(_XMP_PREFIX) and b"hdrgm:Version" in segment
    return marker == APP2 and segment.startswith(_GAIN_MAP_PREFIX)


def encode_jfif(per_millimetre: tuple[float, float] | None) -> tuple[int, bytes]:
    """Return the segment that begins a JPEG file, with a resolution or none."""
    unit, x, y = 0, 1, 1
    if per_millimetre is not None:
        unit = 1
        x, y = (min(max(round(25.4 * number), 1), 65535) for number in per_millimetre)
    return APP0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0102, unit, x, y, 0, 0)


def encode_exif(block: bytes) -> tuple[int, bytes]:
    """Return EXIF data as a segment."""
    return APP1, PREFIX + block


def encode_xmp(packet: bytes) -> tuple[int, bytes]:
    """Return an XMP packet as a segment."""
    return APP1, _XMP_PREFIX + packet


def encode_profile(profile: bytes) -> list[tuple[int, bytes]]:
    """Return an ICC profile as segments; of one that is too large for 255 of them, none."""
    step = LARGEST_SEGMENT - len(_ICC_PREFIX) - 2
    parts = [profile[at : at + step] for at in range(0, len(profile), step)]
    if len(parts) > 255:
        return []
    return [
        (APP2, _ICC_PREFIX + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, start=1)
    ]


class JpegHead:
    """Passes a JPEG file on, with other segments at its beginning than it had.

    Args:
        target: Where to.
        segments: Marker and data of the segments to write first. The file's own with metadata are left out.
    """

    def __init__(self, target: BinaryIO, segments: list[tuple[int, bytes]]) -> None:
        self._target = target
        self._segments = segments
        self._head: bytearray | None = bytearray()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file.

        Raises:
            OSError: The target cannot be written.
        """
        if self._head is None:
            self._target.write(data)
            return
        self._head += data
        rest = self._find_rest()
        if rest is not None:
            head, self._head = self._head, None
            self._target.write(b"\xff\xd8")
            for marker, segment in self._segments:
                self._target.write(struct.pack(">BBH", 0xFF, marker, len(segment) + 2) + segment)
            self._target.write(head[rest:])

    def _find_rest(self) -> int | None:
        """Where the first segment begins that is no metadata."""
        head = self._head or b""
        at = 2
        while at + 4 <= len(head):
            marker = head[at + 1]
            if marker not in range(APP0, 0xF0) and marker != COMMENT:
                return at
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
        return None
