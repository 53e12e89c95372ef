"""Files by which a process tells others that it is at work."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_file(path: Path) -> int:
    """Lock a file, which is made where it is missing, without waiting.

    Where the file system has no locks, all get it.

    Args:
        path: The file; nothing is written to it.

    Returns:
        The descriptor, on which the lock lasts until it is closed, or the process ends in whatever way.

    Raises:
        BlockingIOError: Another holds it.
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        pass
    return descriptor
