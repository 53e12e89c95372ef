"""Keeping within a limit on address space (``ulimit -v``), which counts what is reserved and never used."""

from __future__ import annotations

# glibc's names for them, of <malloc.h>: M_ARENA_MAX and M_MMAP_THRESHOLD.
_MOST_ARENAS = -8
_MAPPED_FROM = -3
_MAPPED_BYTES = 256 << 10


def reserve_little() -> None:
    """Let all threads of the process share one pool of memory, where its address space is limited.

    By default glibc reserves 64 MiB of addresses for nearly every thread, and libvips starts several. And
    blocks of rows come to lie between what stays, so that the pool grows for minutes; they get pages of their
    own here. To be called before there are any threads.
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
        mallopt(_MAPPED_FROM, _MAPPED_BYTES)
