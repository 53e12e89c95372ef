"""A PNG file written while its pixels arrive, uncompressed: how rows get into libvips.

libvips has no loader for a stream of bare pixels. Of the formats that its binary wheel reads from a pipe row
by row, PNG is the only one that holds 8 and 16 bit without loss and can be written without a library.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_CHUNK_BYTES = 1 << 20


def write_png_stream(
    stream: BinaryIO, blocks: Iterable[NDArray[Any]], *, height: int, width: int, channels: int, bits: int
) -> None:
    """Write an uncompressed PNG file (W3C PNG, third edition) block by block.

    Args:
        stream: Where to; need not seek.
        blocks: (rows, width, channels) arrays of uint8 or uint16, ``height`` rows in all.
        height: Rows of the image.
        width: Columns of the image.
        channels: 1 for grey, 3 for RGB; one more with alpha, the last.
        bits: Bits of a sample, 8 or 16, as in the blocks.

    Raises:
        OSError: The stream cannot be written, for instance since its reader is gone.
    """
    stream.write(_SIGNATURE)
    _write_chunk(
        stream, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    )
    deflate = zlib.compressobj(0)
    line_bytes = 1 + width * channels * bits // 8
    rows = max(1, _CHUNK_BYTES // line_bytes)
    for block in blocks:
        for top in range(0, len(block), rows):
            samples = block[top : top + rows].astype(">u2" if bits == 16 else "u1", order="C", copy=False)
            # Each line begins with the number of its filter; 0 is none.
            lines = np.zeros((len(samples), line_bytes), np.uint8)
            lines[:, 1:] = samples.view(np.uint8).reshape(len(samples), -1)
            _write_chunk(stream, b"IDAT", deflate.compress(lines.tobytes()))
    _write_chunk(stream, b"IDAT", deflate.flush())
    _write_chunk(stream, b"IEND", b"")


def _write_chunk(stream: BinaryIO, kind: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + kind)
    stream.write(data)
    stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
