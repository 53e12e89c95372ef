"""What PyAV's errors and FFmpeg's habits become here."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph
from av.sidedata.sidedata import Type

from dvmsr.errors import VideoError

# The encoder of AV1 tells its settings on standard error otherwise; 1 is errors alone.
os.environ.setdefault("SVT_LOG", "1")


def url(path: Path) -> str:
    """Return a file's name so that FFmpeg takes it for nothing else, such as an address."""
    return f"file:{path}"


def open_input(path: Path) -> av.container.InputContainer:
    """Open a video file. What it names, such as parts of a playlist, is looked for in files only.

    Raises:
        VideoError: It is missing or no video.
    """
    try:
        return av.open(url(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoError(f"{path}: {opening_reason(path, error)}") from error


@contextmanager
def same_priority() -> Iterator[None]:
    """Leave the process's threads the priority that they have: opened by root, SVT-AV1 makes it real-time.

    That would starve everything else on the machine, our own threads included.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in (int(task.name) for task in Path("/proc/self/task").iterdir()):
            # It may have ended meanwhile.
            with suppress(ProcessLookupError):
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)


def opening_reason(path: Path, error: av.FFmpegError) -> str:
    """Say why a file cannot be opened."""
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EACCES, errno.EISDIR):
        return f"cannot be read: {os.strerror(error.errno)}"
    try:
        if path.is_dir():
            return "is a folder; expected one video"
        if path.stat().st_size == 0:
            return "is empty"
    except OSError as failure:
        return f"cannot be read: {failure.strerror}"
    return f"is no video, or too damaged to be opened ({reason(error)})"


def reason(error: BaseException) -> str:
    """Return what went wrong in a few words."""
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0].strip()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make of errors in encoding and writing a file one line each.

    Raises:
        VideoError: What happened inside.
    """
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise full_disk(path) from error
        raise VideoError(f"{path}: cannot be written ({reason(error)})") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise full_disk(path) from error
        raise VideoError(f"{path}: cannot be written: {error.strerror}") from error


def side_data(frame: VideoFrame) -> dict[Type, bytes]:
    """Return what comes with a frame beside its pixels, as far as its kind is known."""
    # The library's own types take it for something else.
    sides: Any = frame.side_data
    found = {}
    for side in sides:
        with suppress(ValueError):
            found[side.type] = bytes(side)
    return found


def pulled(graph: Graph) -> Iterator[VideoFrame]:
    """Take the frames that a graph of filters has ready."""
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def full_disk(path: Path) -> VideoError:
    """Return the error of a full disk."""
    return VideoError(
        f"{path}: cannot be written: the disk is full; free some space on it, then the same command goes on"
    )
