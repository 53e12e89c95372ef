"""What the tests of image files share."""

from __future__ import annotations

import struct

import numpy as np
import pytest

_FORMS = {2: "s", 3: "H", 4: "I", 5: "I", 7: "s"}


def pack_bits(values, bits):
    """Rows of whole numbers as packed bits, each row padded to bytes: (H, n) to the bytes."""
    places = 1 << np.arange(bits - 1, -1, -1)
    ones = (values[:, :, None] & places) > 0
    return np.packbits(ones.reshape(len(values), -1), axis=1).tobytes()


def tiff_bytes(pixels, *, bits, photometric, order="<", tags=None):
    """A TIFF file of one strip (TIFF 6.0), for what no library writes.

    pixels: (H, W, samples) of whole numbers. tags: {number: (type, values)} beside those that pixels need.
    """
    height, width, samples = pixels.shape
    data = pack_bits(pixels.reshape(height, -1), bits)
    data += bytes(len(data) % 2)
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * samples),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [8]),
        277: (3, [samples]),
        278: (4, [height]),
        279: (4, [len(data)]),
        **(tags or {}),
    }
    directory = 8 + len(data)
    far = b""
    written = struct.pack(f"{order}H", len(entries))
    for tag, (kind, values) in sorted(entries.items()):
        form = _FORMS[kind]
        raw = values if form == "s" else struct.pack(f"{order}{len(values)}{form}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        place = directory + 2 + 12 * len(entries) + 4 + len(far)
        field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{order}I", place)
        far += raw + bytes(len(raw) % 2) if len(raw) > 4 else b""
        written += struct.pack(f"{order}HHI", tag, kind, count) + field
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, directory)
    return start + data + written + bytes(4) + far


@pytest.fixture
def write_tiff(tmp_path):
    """Write a file by ``tiff_bytes``; returns its path."""

    def write(pixels, **options):
        path = tmp_path / "image.tif"
        path.write_bytes(tiff_bytes(pixels, **options))
        return path

    return write
