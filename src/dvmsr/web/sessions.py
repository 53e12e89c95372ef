"""Who uses the page: each has a folder of their own, which is gone when they are."""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from dvmsr.errors import RequestError
from dvmsr.web.folders import bytes_in
from dvmsr.web.limits import Limits
from dvmsr.web.pictures import Picture


@dataclass(eq=False)
class Session:
    """One person's pictures, or one program's."""

    folder: Path
    """Where they lie."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What its owner is known by."""

    pictures: dict[str, Picture] = field(default_factory=dict)
    """By their names for programs, in the order in which they came."""

    last_seen: float = 0.0
    """When it was last asked for, by the monotonic clock."""

    turn: int = 0
    """The number of the last turn that one of its pictures had; see ``WorkQueue``."""

    closed: bool = False
    """Whether it is over."""


class Sessions:
    """All that there are.

    Args:
        folder: Where their folders are made.
        limits: What each may take.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.lock = RLock()
        """Held by whoever changes sessions or their pictures."""
        self._folder = folder
        self._limits = limits
        self._sessions: dict[str, Session] = {}

    def find(self, token: str | None) -> Session | None:
        """Return the session of a token, and note that it is in use."""
        with self.lock:
            session = self._sessions.get(token or "")
            if session is not None:
                session.last_seen = time.monotonic()
            return session

    def open(self) -> Session:
        """Begin a session.

        Raises:
            RequestError: There are too many.
        """
        with self.lock:
            if len(self._sessions) >= self._limits.sessions:
                raise RequestError(
                    503,
                    f"{self._limits.sessions} people use this page at the moment, and there is no room for "
                    "more; try again in some minutes",
                )
            session = Session(self._folder / secrets.token_hex(8), last_seen=time.monotonic())
            session.folder.mkdir(mode=0o700)
            self._sessions[session.token] = session
            return session

    def close(self, session: Session) -> None:
        """End a session: its work stops, and its files are removed."""
        with self.lock:
            session.closed = True
            self._sessions.pop(session.token, None)
            for picture in session.pictures.values():
                picture.stop.set()
        shutil.rmtree(session.folder, ignore_errors=True)

    def close_idle(self) -> None:
        """End the sessions that nobody has asked for in a while, and for which nothing is at work."""
        with self.lock:
            now = time.monotonic()
            idle = [
                session
                for session in self._sessions.values()
                if now - session.last_seen > self._limits.idle_seconds
                and not any(picture.at_work for picture in session.pictures.values())
            ]
        for session in idle:
            self.close(session)

    def picture(self, session: Session | None, name: str) -> Picture:
        """Return a picture by its id.

        Raises:
            RequestError: There is none.
        """
        picture = session.pictures.get(name) if session is not None else None
        if picture is None:
            raise RequestError(404, "there is no such picture any more; add it again")
        return picture

    def add(self, picture: Picture) -> None:
        """Take a picture in, its file being there.

        Raises:
            RequestError: There are too many, or the session has ended.
        """
        with self.lock:
            self.check_count(picture.session)
            if picture.session.closed:
                raise RequestError(410, "the pictures on this page were removed meanwhile; add it again")
            picture.session.pictures[picture.id] = picture

    def remove(self, picture: Picture) -> None:
        """Remove a picture and all of its files; work on it stops."""
        with self.lock:
            picture.stop.set()
            picture.session.pictures.pop(picture.id, None)
        shutil.rmtree(picture.folder, ignore_errors=True)

    def check_count(self, session: Session) -> None:
        """Refuse one picture too many.

        Raises:
            RequestError: There are as many as there may be.
        """
        if len(session.pictures) >= self._limits.pictures:
            raise RequestError(
                409,
                f"there are {self._limits.pictures} pictures on your page, and it holds no more; "
                "download what is done, and remove it",
            )

    def room(self, session: Session) -> int:
        """Return how many bytes of files may come to a session's; below 0 where there are too many."""
        own = self._limits.stored_bytes - bytes_in(session.folder)
        return min(own, self._limits.all_stored_bytes - bytes_in(self._folder))

    def check_room(self, session: Session, needed: float, what: str) -> None:
        """Refuse files for which there is no room.

        Args:
            session: Whose they would be.
            needed: Their bytes.
            what: What they are, as the subject of a sentence.

        Raises:
            RequestError: There is not so much.
        """
        room = self.room(session)
        if needed > room:
            raise RequestError(
                507,
                f"{what} takes about {mebi(needed)} MiB, and there is room for {mebi(max(0, room))} MiB; "
                "download what is done, and remove it",
            )


def mebi(count: float) -> str:
    """Bytes as a number of MiB, rounded up, with commas between thousands."""
    return f"{-(-int(count) // (1 << 20)):,}"
