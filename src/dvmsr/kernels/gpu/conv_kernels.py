"""The causal convolution with SiLU, in Triton: a program takes a tile of tokens and channels."""

from __future__ import annotations

import triton
import triton.language as tl

from dvmsr.kernels.gpu.arithmetic import sigmoid


@triton.jit
def _load_tokens(x, t, length, stride, d, channels):
    """Tokens t, 0 before the first one and past the last one: (BLOCK_T, BLOCK_D)."""
    mask = ((t >= 0) & (t < length))[:, None] & (d < channels)[None, :]
    return tl.load(x + t.to(tl.int64)[:, None] * stride + d[None, :], mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _load_tap(weight, k, d, channels, TAPS: tl.constexpr):
    return tl.load(weight + d * TAPS + k, mask=d < channels, other=0.0).to(tl.float32)


@triton.jit
def _sums(x, weight, bias, t, length, stride, d, channels, TAPS: tl.constexpr):
    """What goes into SiLU at tokens t."""
    total = tl.zeros((t.shape[0], d.shape[0]), tl.float32)
    total += tl.load(bias + d, mask=d < channels, other=0.0).to(tl.float32)[None, :]
    for k in tl.static_range(TAPS):
        tap = _load_tap(weight, k, d, channels, TAPS)
        total += _load_tokens(x, t - (TAPS - 1 - k), length, stride, d, channels) * tap[None, :]
    return total


@triton.jit
def conv_forward(
    x, weight, bias, y, length, channels, x_batch, x_token,
    TAPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """SiLU of the sums."""
    batch = tl.program_id(2).to(tl.int64)
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    total = _sums(x + batch * x_batch, weight, bias, t, length, x_token, d, channels, TAPS)
    out = total * sigmoid(total)
    mask = (t < length)[:, None] & (d < channels)[None, :]
    at = (batch * length + t)[:, None] * channels + d[None, :]
    tl.store(y + at, out.to(y.dtype.element_ty), mask=mask)


@triton.jit
def conv_backward(
    x, weight, bias, grad_y, grad_x, parts_weight, parts_bias, length, channels, x_batch, x_token,
    TAPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """The gradient of x, and this tile's part of those of the taps and the bias.

    The parts are (batch, tile, taps, channels) and (batch, tile, channels). A token reaches the sums of
    itself and of the TAPS - 1 after it, which are computed again here.
    """
    tile, batch = tl.program_id(0), tl.program_id(2).to(tl.int64)
    t = tile * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = d < channels
    x += batch * x_batch
    grad_y += batch * length * channels
    dx = tl.zeros((BLOCK_T, BLOCK_D), tl.float32)
    part = batch * tl.num_programs(0) + tile
    for ahead in tl.static_range(TAPS):
        total = _sums(x, weight, bias, t + ahead, length, x_token, d, channels, TAPS)
        opened = sigmoid(total)
        dy = _load_tokens(grad_y, t + ahead, length, channels, d, channels)
        dsum = dy * opened * (1.0 + total * (1.0 - opened))
        dx += dsum * _load_tap(weight, TAPS - 1 - ahead, d, channels, TAPS)[None, :]
        if ahead == 0:
            tl.store(parts_bias + part * channels + d, tl.sum(dsum, axis=0), mask=inside)
            for k in tl.static_range(TAPS):
                before = _load_tokens(x, t - (TAPS - 1 - k), length, x_token, d, channels)
                at = (part * TAPS + k) * channels + d
                tl.store(parts_weight + at, tl.sum(dsum * before, axis=0), mask=inside)
    mask = (t < length)[:, None] & inside[None, :]
    at = (batch * length + t)[:, None] * channels + d[None, :]
    tl.store(grad_x + at, dx.to(grad_x.dtype.element_ty), mask=mask)
