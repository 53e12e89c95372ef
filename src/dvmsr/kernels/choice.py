"""Which implementation of the kernels runs."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

from torch import Tensor

from dvmsr.errors import ArgumentError
from dvmsr.kernels import reference
from dvmsr.kernels.parameters import VimmParameters, VimmState

_HAS_NATIVE = importlib.util.find_spec("dvmsr._native") is not None
_HAS_TRITON = importlib.util.find_spec("triton") is not None
_BACKENDS = ("reference", "cpu", "gpu")
_forced: str | None = None


class Backend(Protocol):
    """The kernels in one implementation."""

    def selective_scan(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        z: Tensor,
        delta_bias: Tensor,
        initial_state: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As ``dvmsr.kernels.selective_scan``."""

    def causal_conv1d(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As ``dvmsr.kernels.causal_conv1d``."""

    def vimm(
        self, x: Tensor, parameters: VimmParameters, state: VimmState | None = None, *, residual: bool = False
    ) -> tuple[Tensor, VimmState | None]:
        """As ``dvmsr.kernels.vimm``."""

    def conv3x3(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As ``dvmsr.kernels.conv3x3``."""


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Run one implementation of the kernels, whatever the device, in all threads until the block ends.

    Args:
        backend: "reference", "cpu" or "gpu".

    Raises:
        ArgumentError: The name is none of these.
    """
    global _forced
    if backend not in _BACKENDS:
        raise ArgumentError(f"backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    before, _forced = _forced, backend
    try:
        yield
    finally:
        _forced = before


def chosen(device_type: str) -> Backend:
    """Return the kernels for tensors on this type of device: cpu, cuda (AMD's GPUs, too), mps and so on."""
    if _forced is not None:
        return _load(_forced)
    if device_type == "cpu":
        if _HAS_NATIVE:
            return _load("cpu")
        _warn_of_slow_kernels("dvmsr._native is not built: pip install . builds it")
    elif device_type == "cuda":
        if _HAS_TRITON:
            return _load("gpu")
        _warn_of_slow_kernels("Triton is not installed: pip install triton")
    else:
        _warn_of_slow_kernels(f"there are no fast kernels for {device_type} devices: use a CPU or CUDA")
    return reference


def _load(backend: str) -> Backend:
    if backend == "cpu":
        from dvmsr.kernels import cpu

        return cpu
    if backend == "gpu":
        from dvmsr.kernels import gpu

        return gpu
    return reference


@cache
def _warn_of_slow_kernels(reason: str) -> None:
    message = f"the kernels run by their definition, many times slower, because {reason}"
    warnings.warn(message, RuntimeWarning, stacklevel=4)
