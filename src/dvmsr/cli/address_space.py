"""Keeping within a limit on address space (``ulimit -v``), which counts what is reserved and never used."""

from __future__ import annotations

# glibc's name for it, M_ARENA_MAX, of <malloc.h>.
_MOST_ARENAS = -8


def reserve_little() -> None:
    """Let all threads of the process share one pool of memory, where its address space is limited.

    By default glibc reserves 64 MiB of addresses for nearly every thread, of which libvips starts several. To
    be called before there are any.
    """
    try:
        import resource
    except ImportError:  # not a Unix
        return
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    import ctypes

    # Other C libraries have no such function, and do not reserve as much.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MOST_ARENAS, 1)
