"""The Triton causal convolution with SiLU as a PyTorch operator."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor, library

from dvmsr.kernels.gpu import conv_kernels
from dvmsr.kernels.gpu.layout import dense_rows, on_device_of, strides

# With 64, the backward pass takes all registers that there are, and more.
_BLOCK_T = 32
_BLOCK_D = 32


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve each channel causally and apply SiLU; terms as in ``dvmsr.kernels.causal_conv1d``."""
    y: Tensor = _forward(x, weight, bias)
    return y


def _grid(x: Tensor) -> tuple[int, int, int]:
    batch, length, channels = x.shape
    return triton.cdiv(length, _BLOCK_T), triton.cdiv(channels, _BLOCK_D), batch


@library.custom_op("dvmsr::causal_conv1d_gpu", mutates_args=())
def _forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x, weight, bias = dense_rows(x), weight.contiguous(), bias.contiguous()
    y = x.new_empty(x.shape)
    with on_device_of(x):
        conv_kernels.conv_forward[_grid(x)](
            x, weight, bias, y, *x.shape[1:], *strides(x),
            TAPS=weight.shape[2], BLOCK_T=_BLOCK_T, BLOCK_D=_BLOCK_D,
        )  # fmt: skip
    return y


@_forward.register_fake
def _forward_fake(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@library.custom_op("dvmsr::causal_conv1d_gpu_backward", mutates_args=())
def _backward(x: Tensor, weight: Tensor, bias: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, weight, bias, grad_y = dense_rows(x), weight.contiguous(), bias.contiguous(), grad_y.contiguous()
    tiles, _, batch = grid = _grid(x)
    channels, _, taps = weight.shape
    grad_x = x.new_empty(x.shape)
    parts_weight = x.new_empty((batch, tiles, taps, channels), dtype=torch.float32)
    parts_bias = x.new_empty((batch, tiles, channels), dtype=torch.float32)
    with on_device_of(x):
        conv_kernels.conv_backward[grid](
            x, weight, bias, grad_y, grad_x, parts_weight, parts_bias, *x.shape[1:], *strides(x),
            TAPS=taps, BLOCK_T=_BLOCK_T, BLOCK_D=_BLOCK_D,
        )  # fmt: skip
    grad_weight = parts_weight.sum((0, 1)).t().unsqueeze(1).to(weight.dtype).contiguous()
    return grad_x, grad_weight, parts_bias.sum((0, 1)).to(bias.dtype)


@_backward.register_fake
def _backward_fake(x: Tensor, weight: Tensor, bias: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape), bias.new_empty(bias.shape)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _autograd(ctx: Any, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grads: tuple[Tensor, Tensor, Tensor] = _backward(*ctx.saved_tensors, grad_y)
    return grads


_forward.register_autograd(_autograd, setup_context=_setup_context)
