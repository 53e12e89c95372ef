"""Recognising that an image's result is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dvmsr.batch.urls import changed, is_url
from dvmsr.errors import DvmsrError, ImageWriteError, setting
from dvmsr.images import open_image

if TYPE_CHECKING:
    from dvmsr.batch.plan import FileTask

# Seconds: the coarsest file system in use, FAT, keeps even ones.
_TIME_RESOLUTION = 2.0
# Of those that keep hundredths of a second, or less; others keep a microsecond and more.
_COARSE_STEP = 0.01
_FINE_RESOLUTION = 2e-6


def time_of(path: Path) -> float | None:
    """Return when a file was changed, in seconds since 1970; None where there is none.

    Raises:
        OSError: It cannot be told.
        ImageReadError: A URL cannot be reached.
    """
    if is_url(path):
        return changed(path)
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def is_finished(task: FileTask, time_of: Callable[[Path], float | None] = time_of) -> bool:
    """Return whether a task's result is there: made of its source as it is now.

    On this machine that is a file of the size that the result would have and of the source's time of change.
    Behind a URL, where files have no time that one could set, one that is not older than its source.

    Args:
        task: The task.
        time_of: Tells when a file was changed.

    Raises:
        ImageWriteError: The target is there, and is something else.
        ImageReadError: A URL cannot be reached.
    """
    if is_url(task.target):
        written = time_of(task.target)
        if written is None:
            return False
        read = time_of(task.source)
        fits = read is not None and written >= read - _TIME_RESOLUTION
    elif not task.target.exists():
        return False
    else:
        fits = _has_size(task) and _has_time(task, time_of)
    if not fits:
        raise ImageWriteError(
            f"{task.target}: exists already, and was not made of {task.source.name} as it is now; "
            f"choose another name, or have it replaced ({setting('--overwrite', 'overwrite=True')})"
        )
    return True


def _has_size(task: FileTask) -> bool:
    if not task.size_is_known:
        return True
    try:
        reader = open_image(task.target, max_pixels=task.target_width * task.target_height)
    except (DvmsrError, OSError):
        return False
    return (reader.width, reader.height) == (task.target_width, task.target_height)


def _has_time(task: FileTask, time_of: Callable[[Path], float | None]) -> bool:
    try:
        times = time_of(task.source), time_of(task.target)
    except OSError:
        return False
    # write_image gives a result the time of its source.
    read, written = times
    if read is None or written is None:
        return False
    coarse = _is_coarse(read) or _is_coarse(written)
    return abs(read - written) <= (_TIME_RESOLUTION if coarse else _FINE_RESOLUTION)


def _is_coarse(time: float) -> bool:
    """Whether a time is one that a coarse file system, or an archive, keeps."""
    return abs(time - round(time / _COARSE_STEP) * _COARSE_STEP) < _FINE_RESOLUTION
