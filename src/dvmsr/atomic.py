"""Files that appear whole or not at all, and what a process that was killed has left of them.

While a file is written it has a hidden name of its own beside its target, and this process holds a lock on
it. The lock ends with the process, however that ends. So whoever writes into the same folder next knows a
dead one's file by its name and its missing lock, and removes it; a living one's it leaves alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_NAME = re.compile(r"\.dvmsr-[0-9a-f]{16}(\.\w+)?")

# Of this process.
_unfinished: set[Path] = set()
_swept: set[Path] = set()


@contextmanager
def unfinished_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Give the path of a new, empty, hidden file to be written and then moved to its name.

    If it is still there in the end, it is removed. The first time in a folder, so are those of processes
    that have died.

    Args:
        folder: Where the finished file will be.
        suffix: What the name ends with.

    Raises:
        OSError: It cannot be created.
    """
    if folder not in _swept:
        remove_abandoned(folder)
        _swept.add(folder)
    path, lock = _create(folder, suffix)
    try:
        yield path
    finally:
        # Before the lock: nobody must find it without one.
        path.unlink(missing_ok=True)
        os.close(lock)
        _unfinished.discard(path)


@contextmanager
def write_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write into that takes the place of ``path`` when it is complete and on the disk.

    Raises:
        OSError: It cannot be written; an existing file is as it was.
    """
    with unfinished_file(path.parent) as temporary:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            # Before the name, or a power cut could leave the name without the content.
            os.fsync(file.fileno())
        temporary.replace(path)


def publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name.

    Args:
        partial: The file, in the target's folder.
        target: Its name.
        overwrite: Whether a file that has the name is replaced.

    Raises:
        FileExistsError: There is one, and it is not to be replaced.
        OSError: It cannot be named so.
    """
    if not overwrite:
        try:
            # Unlike renaming, fails where the target has come to exist.
            os.link(partial, target)
            return
        except FileExistsError:
            raise
        except OSError as error:
            # A file system without hard links: whoever takes the name between these two lines loses it.
            if target.exists():
                raise FileExistsError(target) from error
    partial.replace(target)


def remove_abandoned(folder: Path) -> bool:
    """Remove the unfinished files that dead processes left in a folder, as far as that is allowed.

    Returns:
        Whether unfinished files are still there: of living processes, or of others that may not be removed.
    """
    left = False
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                left |= not _removed_if_abandoned(Path(entry.path))
    return left


def remove_unfinished() -> None:
    """Remove this process's unfinished files: for one that has to end at once."""
    for path in list(_unfinished):
        with suppress(OSError):
            path.unlink()


def _create(folder: Path, suffix: str) -> tuple[Path, int]:
    while True:
        path = folder / f".dvmsr-{secrets.token_hex(8)}{suffix}"
        # Before it is there, for a signal may come in between.
        _unfinished.add(path)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError:
            _unfinished.discard(path)
            raise
        # A file system without locks has none that would be found abandoned either.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return path, lock
        # Another process took it for abandoned before it was locked.
        os.close(lock)
        _unfinished.discard(path)


def _removed_if_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True
