"""The memory layouts that the native kernels read."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor) -> Tensor:
    """Return x as dense float32."""
    return x.to(torch.float32).contiguous()


def tokens(x: Tensor) -> Tensor:
    """Return (batch, length, channels) as float32 with dense channels and evenly spaced tokens.

    A part of the channels of a dense tensor is that already, and is not copied.
    """
    x = x.to(torch.float32)
    evenly_spaced = x.stride(2) == 1 and (x.shape[0] == 1 or x.stride(0) == x.shape[1] * x.stride(1))
    return x if evenly_spaced else x.contiguous()
