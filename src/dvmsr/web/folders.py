"""The folder that a server keeps people's pictures in: gone with it, or when the next one starts."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dvmsr.errors import ArgumentError

_NAME = re.compile(r"server-[0-9a-f]{16}")
_LOCK_SUFFIX = ".lock"


def default_root() -> Path:
    """Return where servers keep their folders unless told otherwise: the user's cache, on a disk."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dvmsr" / "web"


@contextmanager
def server_folder(root: Path) -> Iterator[Path]:
    """Give a new folder that only this user can read, and remove it in the end.

    What servers have left that were killed is removed first: a living one holds a lock on a file beside its
    folder, which ends with the process however that ends.

    Args:
        root: Where the folder will be; created if missing.

    Raises:
        ArgumentError: It cannot be created.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(root)
        folder, lock = _create(root)
    except OSError as error:
        raise ArgumentError(
            f"{root}: the pictures cannot be kept there: {error.strerror}; name another folder (--folder)"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_of(folder).unlink(missing_ok=True)
        os.close(lock)


def remove_abandoned(root: Path) -> None:
    """Remove the folders of servers that have died."""
    for folder in {path.with_suffix("") for path in root.iterdir() if _NAME.fullmatch(path.stem)}:
        lock = _lock_of(folder)
        # Made before the folder and removed after it: one without a lock is nobody's.
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink()
            finally:
                os.close(descriptor)


def _create(root: Path) -> tuple[Path, int]:
    while True:
        folder = root / f"server-{secrets.token_hex(8)}"
        lock = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # A file system without locks has none that would be found abandoned either.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            folder.mkdir(mode=0o700)
            return folder, lock
        # Another server took it for abandoned before it was locked.
        os.close(lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK_SUFFIX)


def bytes_in(folder: Path) -> int:
    """Return how many bytes the files in a folder have together; what vanishes meanwhile counts as none."""
    total = 0
    # Which passes over folders that vanish.
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118 - thrice as fast
    return total
