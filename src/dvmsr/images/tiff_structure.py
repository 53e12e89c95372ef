"""The directories of a TIFF file and of EXIF data, which has the same structure (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dvmsr.errors import ImageReadError

# Bytes of a value by its type (TIFF 6.0, page 15; BigTIFF adds 16 to 18), and how struct reads whole numbers.
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
VALUE_BYTES |= {16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

# Tags of how the pixels lie (TIFF 6.0, sections 4, 8 and 15).
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS_OF_STRIP, _PLANES = 256, 257, 258, 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_SEPARATE = 2

# More than any camera or scanner writes; a damaged file may claim billions.
_MOST_DIRECTORIES = 4096
_MOST_ENTRIES = 4096


class TiffStructureError(ImageReadError):
    """The directories of a file point nowhere or in a circle."""


@dataclass(frozen=True)
class Entry:
    """One tag of a directory, its values not yet read."""

    tag: int
    """What it says."""

    kind: int
    """Type of its values, a key of :data:`VALUE_BYTES`."""

    count: int
    """How many values there are."""

    at: int
    """Where the values begin in the file."""

    entry_at: int
    """Where the tag itself is written."""

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return VALUE_BYTES[self.kind] * self.count


@dataclass(frozen=True)
class Directory:
    """The tags of one image of the file, or of one group of EXIF data."""

    at: int
    """Where it begins in the file."""

    entries: dict[int, Entry]
    """By tag. Those of unknown types are left out."""

    following: int
    """Where the next directory begins; 0 after the last."""

    following_at: int
    """Where that number is written."""


class TiffStructure:
    """Reads the directories of a file.

    Args:
        file: Open for reading in bytes, from its first byte.

    Raises:
        TiffStructureError: It does not begin as a TIFF file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = self._bytes(0, 8)
        orders = {b"II": "<", b"MM": ">"}
        self.order = orders.get(head[:2], "")
        """Byte order, as struct writes it."""
        version = struct.unpack(f"{self.order}H", head[2:4])[0] if self.order else 0
        if version not in (42, 43):
            raise TiffStructureError("no TIFF structure")
        self.big: bool = version == 43
        """Whether it is a BigTIFF, whose places are of 8 bytes."""
        self._place = "Q" if self.big else "I"
        self.first: int = self._numbers(8 if self.big else 4, self._place)[0]
        """Where the first directory begins."""

    def directories(self) -> Iterator[Directory]:
        """Read the directories one after the other.

        Raises:
            TiffStructureError: One lies outside the file, or they go in a circle.
        """
        seen: set[int] = set()
        at = self.first
        while at:
            if at in seen or len(seen) == _MOST_DIRECTORIES:
                raise TiffStructureError("directories in a circle")
            seen.add(at)
            directory = self.directory(at)
            yield directory
            at = directory.following

    def directory(self, at: int) -> Directory:
        """Read the directory at a place.

        Raises:
            TiffStructureError: It lies outside the file.
        """
        (count,) = self._numbers(at, "Q" if self.big else "H")
        if count > _MOST_ENTRIES:
            raise TiffStructureError("a directory of too many tags")
        place, width = at + (8 if self.big else 2), 20 if self.big else 12
        entries = {}
        for number in range(count):
            entry = place + number * width
            tag, kind, length = self._numbers(entry, f"HH{self._place}")
            if kind not in VALUE_BYTES:
                continue
            field, room = entry + width - (8 if self.big else 4), 8 if self.big else 4
            inside = VALUE_BYTES[kind] * length <= room
            values_at = field if inside else self._numbers(field, self._place)[0]
            entries[tag] = Entry(tag, kind, length, values_at, entry)
        end = place + count * width
        return Directory(at, entries, self._numbers(end, self._place)[0], end)

    def values(self, entry: Entry) -> tuple[int, ...]:
        """Return the values of a tag as whole numbers; none for a tag of other values.

        Raises:
            TiffStructureError: They lie outside the file.
        """
        if entry.kind not in _WHOLE_NUMBERS:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{_WHOLE_NUMBERS[entry.kind]}", self.raw(entry))

    def raw(self, entry: Entry) -> bytes:
        """Return the values of a tag as they lie in the file.

        Raises:
            TiffStructureError: They lie outside the file.
        """
        return self._bytes(entry.at, entry.size)

    def encode(self, entry: Entry, *values: int) -> bytes:
        """Return whole numbers as the bytes of a tag's type."""
        return struct.pack(f"{self.order}{len(values)}{_WHOLE_NUMBERS[entry.kind]}", *values)

    def _numbers(self, at: int, form: str) -> tuple[int, ...]:
        form = self.order + form
        return struct.unpack(form, self._bytes(at, struct.calcsize(form)))

    def _bytes(self, at: int, size: int) -> bytes:
        try:
            self._file.seek(at)
            data = self._file.read(size)
        except (OverflowError, MemoryError, ValueError) as error:
            raise TiffStructureError("a place outside the file") from error
        if len(data) != size:
            raise TiffStructureError("a place outside the file")
        return data


def strip_bytes(file: BinaryIO, page: int) -> int:
    """Return the bytes of one strip or tile with all its planes, where each channel is a plane of its own.

    A decoder holds so much of such a file at once, and its header can claim a strip as high as the image.

    Args:
        file: A TIFF file.
        page: Number of the picture, from 0.

    Returns:
        0 where the channels lie together, and of a file that is damaged.
    """
    try:
        structure = TiffStructure(file)
        directory = list(structure.directories())[page]
        numbers = {
            tag: values[0]
            for tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS_OF_STRIP, _PLANES, _TILE_WIDTH, _TILE_HEIGHT)
            if tag in directory.entries and (values := structure.values(directory.entries[tag]))
        }
        if numbers.get(_PLANES) != _SEPARATE:
            return 0
        height = numbers[_HEIGHT]
        columns = numbers.get(_TILE_WIDTH, numbers[_WIDTH])
        rows = numbers.get(_TILE_HEIGHT, min(height, numbers.get(_ROWS_OF_STRIP, height)))
        return columns * rows * numbers.get(_SAMPLES, 1) * -(-numbers.get(_BITS, 1) // 8)
    except (TiffStructureError, IndexError, KeyError):
        return 0
