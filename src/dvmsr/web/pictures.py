"""A picture on the page, from its upload to its download."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from dvmsr.batch import FileTask
from dvmsr.errors import DvmsrError
from dvmsr.images import Tiles
from dvmsr.inference.files import UpscaledFile

if TYPE_CHECKING:
    from dvmsr.web.sessions import Session
    from dvmsr.web.settings import Settings

_LONGEST_NAME_BYTES = 150
# What the command line tells besides: options that the page has not.
_OPTIONS = re.compile(r"; [^;]*--\w.*$")


class State(str, Enum):
    """What becomes of a picture."""

    READY = "ready"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(eq=False)
class Picture:
    """A picture on the page. What changes is changed by the queue and the sessions, under their lock."""

    session: Session
    """Whose it is."""

    name: str
    """The name of its file; see :func:`safe_name`."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """What it is asked for by."""

    width: int = 0
    """Columns, upright."""

    height: int = 0
    """Rows, upright."""

    has_alpha: bool = False
    """Whether the file holds transparency."""

    has_more: bool = False
    """Whether the file holds further pages or frames than the one that is shown."""

    state: State = State.READY
    """What becomes of it."""

    settings: Settings | None = None
    """How it is enlarged, once that has been asked for."""

    task: FileTask | None = None
    """What is to be done."""

    run: int = 0
    """How often it has been asked for; the results of earlier times are gone."""

    estimate: float | None = None
    """Seconds that it will take, where that is known."""

    part_done: float = 0.0
    """How much of it is enlarged, from 0 to 1."""

    started: float = 0.0
    """When its work began, by the monotonic clock."""

    result: UpscaledFile | None = None
    """What came out."""

    error: str = ""
    """Why nothing came out."""

    stop: Event = field(default_factory=Event)
    """Set to end the work on it."""

    tiles: dict[str, Tiles] = field(default_factory=dict)
    """What it is shown by, by the names of their folders."""

    views: Lock = field(default_factory=Lock)
    """Held while something is made to show it."""

    @property
    def folder(self) -> Path:
        """Where everything of it lies."""
        return self.session.folder / self.id

    @property
    def source(self) -> Path:
        """The file as it was uploaded."""
        return self.folder / "original" / self.name

    @property
    def result_folder(self) -> Path:
        """Where what comes out of this run lies."""
        return self.folder / f"result-{self.run}"

    @property
    def at_work(self) -> bool:
        """Whether it waits or is being enlarged."""
        return self.state in (State.WAITING, State.RUNNING)

    def tell(self, text: str | DvmsrError) -> str:
        """Return a message about it as people read it: by its name, without places and options."""
        places = re.escape(str(self.folder)) + r"/[\w-]+/"
        return _OPTIONS.sub("", re.sub(places, "", str(text)))


def safe_name(name: str) -> str:
    """Return a file's name as one that can be stored: no folders, nothing hidden, nothing unprintable.

    Args:
        name: What a browser or program says the file is called.
    """
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    name = "".join(character if character.isprintable() else "_" for character in name).strip().lstrip(".")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = name, ""
    # Room for "_x4", or a number behind it.
    stem = stem.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").rstrip()
    return f"{stem or 'picture'}{'.' if suffix else ''}{suffix}"
