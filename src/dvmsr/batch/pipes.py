"""Images that come out of a pipe or go into one: standard input and output, and named pipes.

An image file is read more than once and written in an order of its own, so what a pipe gives is kept in a
temporary file first, and what it takes is sent when it is complete.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvmsr.errors import ImageReadError

STANDARD = "-"
"""The name of standard input and of standard output."""

SECONDS_FOR_A_WRITER = 10.0
"""How long a named pipe is waited for into which nobody writes."""

_CHUNK_BYTES = 1 << 20


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Return whether a name is that of standard input or of a named pipe."""
    if os.fspath(path) == STANDARD:
        return True
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def kept(path: str | os.PathLike[str], standard_input: BinaryIO) -> Iterator[Path]:
    """Keep what comes out of a pipe in a temporary file.

    Args:
        path: A name for which :func:`is_pipe` holds.
        standard_input: What ``-`` stands for.

    Yields:
        The file, named after the pipe; it is gone afterwards.

    Raises:
        ImageReadError: Nothing comes: the pipe ends at once, or nobody writes into it for ten seconds.
    """
    is_standard = os.fspath(path) == STANDARD
    name = "stdin" if is_standard else Path(path).stem
    with tempfile.TemporaryDirectory(prefix="dvmsr-") as folder:
        copy = Path(folder) / name
        with copy.open("wb") as file:
            if is_standard:
                shutil.copyfileobj(standard_input, file, _CHUNK_BYTES)
            else:
                _copy_named_pipe(Path(path), file)
        if copy.stat().st_size == 0:
            raise ImageReadError(f"{path}: expected an image out of the pipe, and nothing came")
        yield copy


def _copy_named_pipe(path: Path, file: BinaryIO) -> None:
    # Not to wait for ever for somebody who opens the other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        deadline = time.monotonic() + SECONDS_FOR_A_WRITER
        while time.monotonic() < deadline:
            # None: somebody is there, who has yet to write. Nothing: nobody is.
            first = pipe.read(_CHUNK_BYTES)
            if first != b"":
                file.write(first or b"")
                os.set_blocking(descriptor, True)
                shutil.copyfileobj(pipe, file, _CHUNK_BYTES)
                return
            time.sleep(0.02)
