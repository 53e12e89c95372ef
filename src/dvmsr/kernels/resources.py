"""The threads and the memory of the native kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

_own: int | None = None


def native_threads() -> int:
    """Return the threads of the native kernels: PyTorch's number, except in :func:`resources_for_kernels`."""
    return torch.get_num_threads() if _own is None else _own


@contextmanager
def resources_for_kernels(device_type: str) -> Iterator[None]:
    """Leave the process to the native kernels until the block ends, as in the many steps of a training run.

    - PyTorch has one thread, they have its threads. Those that PyTorch works in, OpenMP's, spin for some
      milliseconds after each operator and take cores from the kernels.
    - The kernels' threads wait for the next call, where else each call starts its own.
    - Memory that is freed stays with the process, as the next step asks for the same again.

    Where the native kernels do not run, nothing changes, nor does it inside of another such block. Afterwards
    glibc keeps freed memory by limits of its own again, the highest that it comes to by itself.

    Args:
        device_type: Of the tensors that are worked on.
    """
    global _own
    if device_type != "cpu" or find_spec("dvmsr._native") is None or _own is not None:
        yield
        return
    from dvmsr import _native

    threads = torch.get_num_threads()
    try:
        _own = threads
        torch.set_num_threads(1)
        _native.keep_threads(threads - 1)
        _native.keep_freed_memory(True)
        yield
    finally:
        _native.keep_freed_memory(False)
        _native.keep_threads(0)
        torch.set_num_threads(threads)
        _own = None


@contextmanager
def threads_for_pytorch() -> Iterator[None]:
    """Give the threads back to PyTorch until the block ends, for networks that are its operators alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(native_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
