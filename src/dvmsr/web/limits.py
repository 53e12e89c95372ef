"""How much the page takes from those who use it."""

from __future__ import annotations

from dataclasses import dataclass

_MEBI = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much the page takes, so that nobody can fill the disk or keep the processor for days.

    Memory has no number here: what does not fit into what is free is refused, as on the command line.
    """

    file_bytes: int = 200 * _MEBI
    """Most bytes of a picture's file."""

    pixels: int = 100_000_000
    """Most pixels of a picture."""

    queue: int = 100
    """Most pictures of one person that wait to be enlarged."""

    pictures: int = 200
    """Most pictures of one person that lie on the page."""

    seconds: float = 3600.0
    """Most seconds that a picture may take, foretold or found."""

    stored_bytes: int = 8192 * _MEBI
    """Most bytes of one person's files, the enlarged ones and what is made to show them included."""

    all_stored_bytes: int = 32768 * _MEBI
    """Most bytes of everybody's files."""

    sessions: int = 50
    """Most people at a time."""

    idle_seconds: float = 1800.0
    """Seconds without a word from the page or a program after which a person's files are removed."""

    part_seconds: float = 1.5
    """Seconds that a part which is tried first may take."""
