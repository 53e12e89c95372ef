"""IPTC data among the resources of Photoshop, as JPEG files hold it (Adobe Photoshop File Formats)."""

from __future__ import annotations

import struct

_PREFIX = b"Photoshop 3.0\0"
_SIGNATURE = b"8BIM"
_IPTC = 0x0404


def unwrap(data: bytes) -> bytes | None:
    """Return the IPTC data that a file holds alone, as TIFF, or among resources; None if there is none."""
    if not data.startswith(_PREFIX):
        return data
    at = len(_PREFIX)
    while data[at : at + 4] == _SIGNATURE and at + 12 <= len(data):
        number, name_bytes = struct.unpack_from(">HB", data, at + 4)
        # The name and the data are padded to an even number of bytes each.
        at += 6 + (name_bytes + 2) // 2 * 2
        (size,) = struct.unpack(">I", data[at : at + 4].rjust(4, b"\0"))
        if number == _IPTC:
            return data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return None


def wrap(data: bytes) -> bytes:
    """Return IPTC data as the only resource of Photoshop's."""
    resource = struct.pack(">HHI", _IPTC, 0, len(data)) + data + bytes(len(data) % 2)
    return _PREFIX + _SIGNATURE + resource
