"""Functions of one value that both Triton kernels use."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)), with no exponential that overflows."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def softplus(x):
    """log(1 + exp(x)), and x from 20 on as PyTorch has it.

    Where exp(x) is small, its sum with 1 would lose what counts: the series keeps it.
    """
    e = tl.exp(tl.minimum(x, 20.0))
    series = e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - e * 0.25)))
    return tl.where(x > 20.0, x, tl.where(e < 0.03, series, tl.log(1.0 + e)))
