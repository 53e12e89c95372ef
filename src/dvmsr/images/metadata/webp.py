"""Metadata in WebP files (RFC 9649)."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import BinaryIO

_EXTENDED = b"VP8X"
_FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02
_LOSSLESS_ALPHA = 1 << 28


def add_chunks(path: Path, chunks: list[tuple[bytes, bytes]], width: int, height: int) -> None:
    """Write metadata into a WebP file that has none.

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
    before = [chunk for chunk in chunks if chunk[0] == b"ICCP"]
    after = [chunk for chunk in chunks if chunk[0] != b"ICCP"]
    whole = path.with_name(path.name + ".meta")
    try:
        with path.open("rb") as source, whole.open("wb") as target:
            source.seek(12)
            kind, size = struct.unpack("<4sI", source.read(8))
            body = source.read(size) if kind == _EXTENDED else b""
            if kind == _EXTENDED:
                flags = body[0] & (_ALPHA_FLAG | _ANIMATION_FLAG)
            else:
                # A lossless picture says in its first bytes whether it has alpha; a lossy one by VP8X alone.
                start = source.read(5)
                flags = _ALPHA_FLAG if kind == b"VP8L" and _has_alpha(start) else 0
                source.seek(12)
            for name, _ in chunks:
                flags |= _FLAGS[name]
            target.write(b"RIFF\0\0\0\0WEBP")
            sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
            _write_chunk(target, _EXTENDED, struct.pack("<I", flags) + sides)
            for name, data in before:
                _write_chunk(target, name, data)
            shutil.copyfileobj(source, target)
            for name, data in after:
                _write_chunk(target, name, data)
            size = target.tell() - 8
            target.seek(4)
            target.write(struct.pack("<I", size))
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)


def _has_alpha(lossless: bytes) -> bool:
    return bool(int.from_bytes(lossless[1:5], "little") & _LOSSLESS_ALPHA)


def _write_chunk(target: BinaryIO, name: bytes, data: bytes) -> None:
    target.write(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2))
