"""How many threads the native kernels use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

_own: int | None = None


def native_threads() -> int:
    """Return the threads of the native kernels: PyTorch's number, except in :func:`threads_for_kernels`."""
    return torch.get_num_threads() if _own is None else _own


@contextmanager
def threads_for_kernels(device_type: str) -> Iterator[None]:
    """Leave PyTorch's threads to the native kernels until the block ends: it has one itself meanwhile.

    The threads that PyTorch works in, OpenMP's, spin for some milliseconds after each operator. Where almost
    all time goes to the native kernels, as in a training step, that takes cores from them: a step of the
    student on two cores takes a fifth longer. Where the native kernels do not run, nothing changes.

    Args:
        device_type: Of the tensors that are worked on.
    """
    global _own
    if device_type != "cpu" or find_spec("dvmsr._native") is None:
        yield
        return
    before = _own, torch.get_num_threads()
    _own = native_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _own, threads = before
        torch.set_num_threads(threads)


@contextmanager
def threads_for_pytorch() -> Iterator[None]:
    """Give the threads back to PyTorch until the block ends, for networks that are its operators alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(native_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
