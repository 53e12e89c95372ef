"""Metadata in WebP files (RFC 9649)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_EXTENDED, _LOSSLESS, _LOSSY, _FRAME = b"VP8X", b"VP8L", b"VP8 ", b"ANMF"
_FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02
_LOSSLESS_ALPHA = 1 << 28
_HEAD_BYTES = 12


def is_lossless(file: BinaryIO) -> bool:
    """Whether a file's picture, or the first of its frames, is compressed without loss."""
    file.seek(_HEAD_BYTES)
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == _FRAME:
            # The frame's own chunks follow its place and delay.
            file.seek(16, 1)
        elif kind in (_LOSSLESS, _LOSSY):
            return bool(kind == _LOSSLESS)
        else:
            file.seek(size + size % 2, 1)
    return False


def add_chunks(path: Path, chunks: list[tuple[bytes, bytes]], width: int, height: int) -> None:
    """Write metadata into a WebP file that has none. Takes as much memory as the file is large.

    Args:
        path: The file.
        chunks: Type and data, of the types ICCP, EXIF and "XMP ".
        width: Columns of the picture.
        height: Its rows.

    Raises:
        OSError: The file cannot be written.
    """
    if not chunks:
        return
    pictures = path.read_bytes()[_HEAD_BYTES:]
    kind, size = struct.unpack("<4sI", pictures[:8])
    flags = 0
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    if kind == _EXTENDED:
        flags = pictures[8] & (_ALPHA_FLAG | _ANIMATION_FLAG)
        # Of an animation, those of a frame.
        sides = pictures[12:18]
        pictures = pictures[8 + size :]
    elif kind == _LOSSLESS and int.from_bytes(pictures[9:13], "little") & _LOSSLESS_ALPHA:
        # Of alpha a lossless picture says so itself, and a lossy one has a chunk of it and the extended head.
        flags = _ALPHA_FLAG
    for name, _ in chunks:
        flags |= _FLAGS[name]
    before = [_chunk(name, data) for name, data in chunks if name == b"ICCP"]
    after = [_chunk(name, data) for name, data in chunks if name != b"ICCP"]
    parts = [_chunk(_EXTENDED, struct.pack("<I", flags) + sides), *before, pictures, *after]
    with path.open("r+b") as file:
        file.write(b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WEBP")
        file.writelines(parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
