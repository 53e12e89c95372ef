"""What the Triton kernels need to know of their inputs' memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# Numbers that one instruction reads, at most.
_VECTOR = 4


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Make the device of x the current one: Triton launches there."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def dense_rows(x: Tensor) -> Tensor:
    """Return x with dense last dimension, without a copy where it is."""
    return x if x.stride(-1) == 1 else x.contiguous()


def vector_rows(x: Tensor) -> Tensor:
    """Return x with rows that can be read a vector at a time, without a copy where they can."""
    aligned = all(stride % _VECTOR == 0 for stride in x.stride()[:2]) and x.data_ptr() % 16 == 0
    return x if x.stride(-1) == 1 and aligned else x.contiguous()


def alignment(*tensors: Tensor) -> int:
    """Return what divides the strides of sequences and tokens: a vector's numbers, or 1."""
    divisible = all(stride % _VECTOR == 0 for x in tensors for stride in x.stride()[:2])
    return _VECTOR if divisible else 1


def strides(x: Tensor, unit: int = 1) -> tuple[int, int]:
    """Return the distances between sequences and between tokens, in multiples of ``unit``."""
    return x.stride(0) // unit, x.stride(1) // unit
