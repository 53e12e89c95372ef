"""How large an image may be, and whether the memory for it is there before it is decoded."""

from __future__ import annotations

import contextlib
from pathlib import Path

from dvmsr.errors import ImageReadError, setting

MAX_PIXELS = 500_000_000
"""Most pixels of an image to read, unless another number is given: 40 minutes of work for two cores."""

_CGROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self")
_MEBI = 1 << 20
# Asking the system takes a millisecond: not done for as little as an image of 256x256 pixels needs.
LITTLE_BYTES = 16 * _MEBI


def check_pixels(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Refuse an image that is larger than was agreed to.

    Raises:
        ImageReadError: It has more pixels than ``max_pixels``.
    """
    if width * height > max_pixels:
        raise ImageReadError(
            f"{path}: has {width}x{height} pixels, more than the {max_pixels:,} that are taken; "
            f"if it is meant, allow more ({setting('--max-pixels', 'max_pixels= of dvmsr.upscale_files')})"
        )


def check_memory(path: Path, needed: int) -> None:
    """Refuse what does not fit into the memory that is free.

    Args:
        path: What the memory is for.
        needed: Bytes.

    Raises:
        ImageReadError: There is less.
    """
    if needed < LITTLE_BYTES:
        return
    free = available_memory()
    if free is not None and needed > free:
        raise ImageReadError(
            f"{path}: needs about {needed / _MEBI:,.0f} MiB of memory, and {free / _MEBI:,.0f} MiB are free; "
            "free some, or take a smaller image"
        )


def available_memory() -> int | None:
    """Return how many bytes this process may still take; None where the system does not say.

    The least of what the machine has left, what is left to the process's control group, and what the limit on
    its address space leaves (``ulimit -v``).
    """
    found = []
    # A machine without one of these has no such limit.
    with contextlib.suppress(OSError, ValueError, KeyError):
        found.append(_fields(Path("/proc/meminfo"))["MemAvailable"] * 1024)
    with contextlib.suppress(OSError, ValueError, KeyError):
        found.append(_left_to_the_control_group())
    with contextlib.suppress(ImportError, OSError, ValueError, KeyError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            found.append(limit - _fields(_PROCESS / "status")["VmSize"] * 1024)
    return max(0, min(found)) if found else None


def _left_to_the_control_group() -> int:
    """What the group and those around it leave, each of which may have a limit."""
    left = []
    for line in (_PROCESS / "cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        # Version 2 names no controllers and lies at the top, version 1 in a folder for each.
        top, limit, used, cache = (
            (_CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else (_CGROUPS, "memory.max", "memory.current", "inactive_file")
        )
        inner = top / name.strip("/")
        for group in (inner, *inner.parents):
            # A group has no files where it has no limit, or is not mounted here.
            with contextlib.suppress(OSError, ValueError):
                # What is only kept of files that were read can be dropped at any time.
                kept = _fields(group / "memory.stat").get(cache, 0)
                left.append(int((group / limit).read_text()) - int((group / used).read_text()) + kept)
            if group == top:
                break
    return min(left)


def _fields(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    fields = {}
    for line in path.read_text().splitlines():
        name, _, value = line.replace(":", " ").partition(" ")
        number = value.split()[:1]
        if number and number[0].isdigit():
            fields[name] = int(number[0])
    return fields
