"""Changing TIFF files that libvips has written: other metadata, by a new directory, and further pages."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from dvmsr.images.metadata.exif import EXIF_DIRECTORY, GPS_DIRECTORY, Tags
from dvmsr.images.tiff_structure import Entry, TiffStructure

_RESOLUTION = (282, 283, 296)
# Where strips and tiles lie.
_PIXELS = (273, 324)
_LONG, _LONG8 = 4, 16


def replace_tags(path: Path, tags: Tags, groups: Mapping[int, Tags], *, resolution: bool) -> None:
    """Write metadata into a TIFF file of one picture, in little-endian order.

    Args:
        path: The file.
        tags: Of the picture, beside those that describe its pixels.
        groups: The EXIF and GPS directories by the tag that points to each.
        resolution: Whether the resolution that the file has is kept; else it has none.

    Raises:
        OSError: The file cannot be written.
        TiffStructureError: It is no such file.
    """
    with path.open("r+b") as file:
        structure = TiffStructure(file)
        directory = structure.directory(structure.first)
        kept = {
            tag: entry
            for tag, entry in directory.entries.items()
            if (resolution or tag not in _RESOLUTION) and tag not in tags and tag not in groups
        }
        writer = _Writer(structure)
        fields = {tag: writer.kept(entry) for tag, entry in kept.items()}
        at = file.seek(0, 2)
        at += file.write(bytes(at % 2))
        for pointer, group in groups.items():
            data = writer.directory({tag: writer.value(*value) for tag, value in group.items()}, at)
            file.write(data)
            tags = {**tags, pointer: (_LONG8 if structure.big else _LONG, 1, writer.place(at))}
            at += len(data)
        fields |= {tag: writer.value(*value) for tag, value in tags.items()}
        file.write(writer.directory(fields, at))
        file.seek(8 if structure.big else 4)
        file.write(writer.place(at))


def append_picture(path: Path, addition: Path) -> None:
    """Make the picture of one TIFF file the next page of another.

    Args:
        path: The file that grows.
        addition: A file of one picture, of the same byte order, and BigTIFF as the other is or not.

    Raises:
        OSError: A file cannot be read or written.
        TiffStructureError: One is no such file.
    """
    with addition.open("rb") as source, path.open("r+b") as file:
        base = file.seek(0, 2)
        base += file.write(bytes(base % 2))
        shutil.copyfileobj(source, file)
        structure = TiffStructure(source)
        _move(file, structure, structure.first, base)
        whole = TiffStructure(file)
        assert (whole.big, whole.order) == (structure.big, structure.order)
        *_, last = whole.directories()
        file.seek(last.following_at)
        file.write(_Writer(whole).place(base + structure.first))


def _move(file: BinaryIO, structure: TiffStructure, at: int, base: int) -> None:
    """Correct the places in a directory whose file now begins later."""
    writer = _Writer(structure)
    directory = structure.directory(at)
    for tag, entry in directory.entries.items():
        if tag in (*_PIXELS, EXIF_DIRECTORY, GPS_DIRECTORY):
            values = structure.values(entry)
            file.seek(base + entry.at)
            file.write(structure.encode(entry, *(base + value for value in values)))
            if tag not in _PIXELS:
                _move(file, structure, values[0], base)
        if entry.size > writer.room:
            file.seek(base + entry.entry_at + (12 if structure.big else 8))
            file.write(writer.place(base + entry.at))


class _Writer:
    """Writes directories of classic TIFF or BigTIFF."""

    def __init__(self, structure: TiffStructure) -> None:
        self._structure = structure
        self._big = structure.big
        self.room = 8 if self._big else 4

    def place(self, at: int) -> bytes:
        return struct.pack("<Q" if self._big else "<I", at)

    def kept(self, entry: Entry) -> tuple[int, int, bytes, int | None]:
        """A tag whose values stay where they are, if they lie outside the directory."""
        if entry.size <= self.room:
            return entry.kind, entry.count, self._structure.raw(entry), None
        return entry.kind, entry.count, b"", entry.at

    def value(self, kind: int, count: int, data: bytes) -> tuple[int, int, bytes, int | None]:
        return kind, count, data, None

    def directory(self, fields: Mapping[int, tuple[int, int, bytes, int | None]], at: int) -> bytes:
        """The bytes of a directory that will lie at a place and is the last, and of the values it brings."""
        far_at = at + (16 if self._big else 6) + len(fields) * (20 if self._big else 12)
        entries, far = [], b""
        for tag, (kind, count, data, there) in sorted(fields.items()):
            field = data.ljust(self.room, b"\0")
            if there is not None:
                field = self.place(there)
            elif len(data) > self.room:
                field = self.place(far_at + len(far))
                far += data + bytes(len(data) % 2)
            entries.append(struct.pack("<HHQ" if self._big else "<HHI", tag, kind, count) + field)
        count_of = struct.pack("<Q" if self._big else "<H", len(fields))
        return count_of + b"".join(entries) + self.place(0) + far
