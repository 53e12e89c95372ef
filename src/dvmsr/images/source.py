"""An image file before it is decoded: what kind it is, and how its bytes reach libvips."""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pyvips

from dvmsr.errors import ImageReadError
from dvmsr.images.limits import check_memory
from dvmsr.images.suffixes import RAW_SUFFIXES

RAW = "RAW"
"""The kind of what cameras record."""

_HEAD_BYTES = 512
_PIPE_BYTES = 1 << 20
_SECONDS_FOR_A_WRITER = 10.0
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    *((b"P%d" % number + space, "PNM") for number in range(1, 7) for space in (b" ", b"\n", b"\r\n")),
    (b"PF", "PFM"),
    (b"Pf", "PFM"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"qoif", "QOI"),
    *((b"P7" + space, "PAM") for space in (b"\n", b"\r\n")),
    (b"\0\0\1\0", "ICO"),
    (b"DDS ", "DDS"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"II\xbc\1", "JPEG XR"),
    (b"gimp xcf", "XCF"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),
    *((start, RAW) for start in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")),
)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Read whole at first: libvips maps them into memory, and a file that is cut short then ends the process.
_HELD_IN_MEMORY = ("JPEG", "WebP", "GIF", "AVIF", "HEIC", "BMP", "PNM", "JPEG 2000")


class SourceFile:
    """An image file whose kind is known from its first bytes.

    Args:
        path: The file.

    Raises:
        ImageReadError: It is missing, empty, a folder or a device, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """Its name."""
        self._patches: dict[int, bytes] = {}
        self._data: bytes | None = None
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise ImageReadError(f"{path}: expected an image file, got a folder")
            if stat.S_ISFIFO(mode):
                self._data = _read_pipe(path)
            elif not stat.S_ISREG(mode):
                raise ImageReadError(f"{path}: expected an image file, got a device")
            with self.open() as file:
                head = file.read(_HEAD_BYTES)
                self.kind = _kind(head, path.suffix.lower())
                """"PNG", "JPEG" and so on; "" for none that is known."""
                if self._data is None and self.kind in _HELD_IN_MEMORY:
                    check_memory(path, path.stat().st_size)
                    file.seek(0)
                    self._data = file.read()
        except FileNotFoundError as error:
            raise ImageReadError(f"{path}: no such file; check its name") from error
        except OSError as error:
            raise ImageReadError(f"{path}: cannot be read: {error.strerror}") from error
        if not head:
            raise ImageReadError(f"{path}: expected an image file, got an empty file")

    def open(self) -> BinaryIO:
        """Open the file's bytes, as they are on the disk.

        Raises:
            OSError: It cannot be opened any more.
        """
        return io.BytesIO(self._data) if self._data is not None else self.path.open("rb")

    def patch(self, patches: Mapping[int, bytes]) -> None:
        """Let libvips see other bytes at some places than the file has there."""
        self._patches |= patches

    def to_vips(self) -> pyvips.Source:
        """Return the bytes for libvips to read. The source must live as long as the image made from it.

        Raises:
            pyvips.Error: The file cannot be opened any more.
        """
        if self._patches:
            return _PatchedSource(self.open(), self._patches)
        if self._data is not None:
            return pyvips.Source.new_from_memory(self._data)
        # By a source, not by a file name: libvips would take a name's trailing [...] for options.
        return pyvips.Source.new_from_file(os.fsencode(self.path))


class _PatchedSource(pyvips.SourceCustom):  # type: ignore[misc] # pyvips has no types
    """A file of which some bytes are replaced while it is read."""

    def __init__(self, file: BinaryIO, patches: Mapping[int, bytes]) -> None:
        super().__init__()
        self._file = file

        def read(size: int) -> bytes:
            at = file.tell()
            data = bytearray(file.read(size))
            for place, replacement in patches.items():
                for offset, byte in enumerate(replacement, start=place - at):
                    if 0 <= offset < len(data):
                        data[offset] = byte
            return bytes(data)

        self.on_read(read)
        self.on_seek(file.seek)

    def __del__(self) -> None:
        # With the last image that reads it.
        self._file.close()


def _kind(head: bytes, suffix: str) -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            # Most cameras' is that as well, and only Canon's says so.
            raw = kind == "TIFF" and (suffix in RAW_SUFFIXES or head[8:10] == b"CR")
            return RAW if raw else kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        # The box may claim to be of any size.
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
        if brands[0] == b"crx ":  # Canon's
            return RAW
        if any(brand in _AVIF_BRANDS for brand in brands):
            return "AVIF"
        if any(brand in _HEIC_BRANDS for brand in brands):
            return "HEIC"
    if b"<svg" in head:
        return "SVG"
    return RAW if suffix in RAW_SUFFIXES and head else ""


def _read_pipe(path: Path) -> bytes:
    """Read a named pipe to its end. Whoever writes may take as long as they like, but must have begun."""
    parts = []
    began = False
    deadline = time.monotonic() + _SECONDS_FOR_A_WRITER
    # Opened to wait for nobody: where no one writes, opening a pipe would never return.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                part = os.read(descriptor, _PIPE_BYTES)
            except BlockingIOError:
                began = True
                time.sleep(0.01)
                continue
            if part:
                parts.append(part)
                began = True
                if len(parts) % 64 == 0:
                    check_memory(path, _PIPE_BYTES)
            elif began:
                return b"".join(parts)
            elif time.monotonic() > deadline:
                raise ImageReadError(
                    f"{path}: expected an image in this pipe, and nobody writes into it; give a file"
                )
            else:
                time.sleep(0.01)
    finally:
        os.close(descriptor)
