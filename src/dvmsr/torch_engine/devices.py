"""Devices of PyTorch and the precisions to compute in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dvmsr.errors import ArgumentError

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def sees_gpu() -> bool:
    """Return whether PyTorch sees a GPU of NVIDIA, or of AMD, that it calls cuda as well."""
    return torch.cuda.is_available()


def find_device(name: str) -> torch.device:
    """Return a device that works.

    Args:
        name: "cuda", "cuda:N" or another name of PyTorch's; "torch" for the CPU, which as "cpu" has its own
            engine.

    Raises:
        ArgumentError: There is no such device, or it does not work.
    """
    if name == "torch":
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise _unknown(name) from error
    if device.type in ("cpu", "meta"):
        raise _unknown(name)
    if device.type == "cuda":
        if not sees_gpu():
            raise ArgumentError(
                f'device "{device}" needs a GPU, and PyTorch {torch.__version__} sees none: use device "cpu"'
            )
        count = torch.cuda.device_count()
        if device.index is not None and device.index >= count:
            known = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise ArgumentError(f'there is no device "{device}" here: PyTorch sees {known}')
    try:
        # Also gives the index where the name has none.
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ArgumentError(f'device "{device}" does not work here: {reason}') from error


def _unknown(name: str) -> ArgumentError:
    return ArgumentError(
        f'device must be "cpu", "torch", "cuda", "cuda:N", "auto" or another that PyTorch knows, got {name!r}'
    )


def find_type(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of numbers that a precision stands for.

    Args:
        precision: "fp32", "bf16", "fp16", or "auto" for "fp32": what others change has been measured on
            CPUs only.
        device: Where to compute.

    Raises:
        ArgumentError: The precision is none of these, or the device has no autocast to it.
    """
    if precision == "auto":
        precision = "fp32"
    if precision not in _TYPES:
        raise ArgumentError(f"precision must be {', '.join(_TYPES)} or auto, got {precision!r}")
    if precision != "fp32" and not torch.amp.is_autocast_available(device.type):
        raise ArgumentError(f'on device "{device}" precision must be fp32, got {precision!r}')
    return _TYPES[precision]


@contextmanager
def computing_in(dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Compute without gradients in a type of numbers: 16 bits by autocast, 32 without TF32."""
    # Each weight is read once in a band; and a cache would not be the CUDA graph's own.
    autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False)
    with torch.inference_mode(), _without_tf32(), autocast:
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Let matrix products and convolutions of float32 be that, whatever the process has set."""
    backends: Any = torch.backends
    name: str
    exact: str | bool
    name, exact, convolutions = "fp32_precision", "ieee", getattr(backends.cudnn, "conv", None)
    if convolutions is None:
        # PyTorch before 2.9.
        name, exact, convolutions = "allow_tf32", False, backends.cudnn
    products = backends.cuda.matmul
    before = getattr(convolutions, name), getattr(products, name)
    setattr(convolutions, name, exact)
    setattr(products, name, exact)
    try:
        yield
    finally:
        setattr(convolutions, name, before[0])
        setattr(products, name, before[1])
