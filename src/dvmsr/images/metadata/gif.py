"""Comments in GIF files (GIF89a, section 24)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

_EXTENSION, _IMAGE, _COMMENT = 0x21, 0x2C, 0xFE


def read_comments(file: BinaryIO) -> Iterator[bytes]:
    """Read the comments; end where the file is damaged."""
    head = file.read(13)
    if len(head) < 13:
        return
    _skip_colours(file, head[10])
    while kind := file.read(1):
        if kind[0] == _EXTENSION:
            label = file.read(1)
            data = b"".join(_sub_blocks(file))
            if label == bytes([_COMMENT]):
                yield data
        elif kind[0] == _IMAGE:
            place = file.read(9)
            if len(place) < 9:
                return
            _skip_colours(file, place[8])
            file.read(1)
            for _ in _sub_blocks(file):
                pass
        else:
            return


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)


def _sub_blocks(file: BinaryIO) -> Iterator[bytes]:
    while (size := file.read(1)) and size[0]:
        yield file.read(size[0])
