"""Metadata in PNG files (W3C PNG, third edition, section 11)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from dvmsr.images.colour import ColourDescription

_SIGNATURE_BYTES = 8
_LARGEST_CHUNK = 64 << 20
_LARGEST_TEXT = 16 << 20
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def read_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Read the chunks of a file but for its pixels; end where it is damaged.

    Yields:
        Type and data.
    """
    file.seek(_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind == b"IDAT" or size > _LARGEST_CHUNK:
            file.seek(size + 4, 1)
            continue
        data = file.read(size)
        if len(data) != size:
            return
        file.seek(4, 1)
        yield kind, data


def decode_text(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """Return the keyword and the text of a tEXt, zTXt or iTXt chunk; None of XMP and of a damaged one."""
    keyword, _, rest = data.partition(b"\0")
    if kind not in _TEXT_CHUNKS or keyword == _XMP_KEYWORD:
        return None
    try:
        if kind == b"tEXt":
            text = rest.decode("latin-1")
        elif kind == b"zTXt":
            text = _inflate(rest[1:]).decode("latin-1")
        else:
            compressed = rest[0]
            _language, _translated, raw = rest[2:].split(b"\0", 2)
            text = (_inflate(raw) if compressed else raw).decode("utf-8")
    except (IndexError, ValueError, zlib.error):
        return None
    return keyword.decode("latin-1"), text


def describe_colours(known: ColourDescription, kind: bytes, data: bytes) -> ColourDescription:
    """Add what a chunk says about colours to what is known."""
    if kind == b"cICP" and len(data) == 4:
        return replace(known, code_points=(data[0], data[1]))
    if kind == b"gAMA" and len(data) == 4 and any(data):
        return replace(known, gamma=int.from_bytes(data, "big"))
    if kind == b"cHRM" and len(data) == 32:
        return replace(known, chromaticities=struct.unpack(">8I", data))
    return known


def encode_colours(colours: ColourDescription) -> list[tuple[bytes, bytes]]:
    """Return how colours are to be shown as chunks."""
    chunks = []
    if colours.code_points is not None:
        # The samples are RGB, over their full range.
        chunks.append((b"cICP", bytes([*colours.code_points, 0, 1])))
    if colours.gamma is not None:
        chunks.append((b"gAMA", struct.pack(">I", colours.gamma)))
    if colours.chromaticities is not None:
        chunks.append((b"cHRM", struct.pack(">8I", *colours.chromaticities)))
    return chunks


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _LARGEST_TEXT)
    if not inflater.eof:
        raise ValueError("a text too large or cut short")
    return text


def encode_text(keyword: str, text: str) -> tuple[bytes, bytes]:
    """Return a text as a chunk: tEXt where Latin-1 can hold it, else iTXt."""
    key = keyword.encode("latin-1", "replace")[:79] or b"Comment"
    try:
        return b"tEXt", key + b"\0" + text.replace("\0", " ").encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", key + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def encode_xmp(packet: bytes) -> tuple[bytes, bytes]:
    """Return an XMP packet as a chunk."""
    return b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + packet


def encode_profile(profile: bytes) -> tuple[bytes, bytes]:
    """Return an ICC profile as a chunk."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)


def encode_resolution(per_millimetre: tuple[float, float]) -> tuple[bytes, bytes]:
    """Return a resolution in pixels per millimetre as a chunk."""
    x, y = (min(max(round(1000 * number), 1), 2**31 - 1) for number in per_millimetre)
    return b"pHYs", struct.pack(">IIB", x, y, 1)


class PngHead:
    """Passes a PNG file on, with other chunks before its pixels than it had.

    Args:
        target: Where to.
        chunks: Type and data of the chunks to write after IHDR. All others before the pixels are left out.
    """

    def __init__(self, target: BinaryIO, chunks: list[tuple[bytes, bytes]]) -> None:
        self._target = target
        self._chunks = chunks
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
        pixels = self._find_pixels()
        if pixels is not None:
            head, self._head = self._head, None
            self._target.write(head[: _SIGNATURE_BYTES + 25])
            for kind, chunk in self._chunks:
                self._target.write(struct.pack(">I", len(chunk)) + kind + chunk)
                self._target.write(struct.pack(">I", zlib.crc32(chunk, zlib.crc32(kind))))
            self._target.write(head[pixels:])

    def _find_pixels(self) -> int | None:
        head = self._head or b""
        at = _SIGNATURE_BYTES
        while at + 8 <= len(head):
            size, kind = struct.unpack_from(">I4s", head, at)
            if kind == b"IDAT":
                return at
            at += 12 + size
        return None
