"""The native causal convolution with SiLU as a PyTorch operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library

import dvmsr._native as _native
from dvmsr.kernels.cpu.layout import dense, tokens
from dvmsr.kernels.resources import native_threads


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve each channel causally and apply SiLU; terms as in ``dvmsr.kernels.causal_conv1d``."""
    taps_first = dense(weight.squeeze(1).t())
    y: Tensor = _forward(tokens(x), taps_first, dense(bias))
    return y.to(x.dtype)


@library.custom_op("dvmsr::causal_conv1d", mutates_args=(), device_types="cpu")
def _forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = x.new_empty(x.shape)
    _native.causal_conv_forward(x.detach(), weight.detach(), bias.detach(), y, threads=native_threads())
    return y


@_forward.register_fake
def _forward_fake(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@library.custom_op("dvmsr::causal_conv1d_backward", mutates_args=(), device_types="cpu")
def _backward(x: Tensor, weight: Tensor, bias: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    batch = x.shape[0]
    grad_x = x.new_empty(x.shape)
    # One part for each sequence; adding them up in a fixed order keeps the result independent of the threads.
    parts_weight = x.new_empty(batch, *weight.shape)
    parts_bias = x.new_empty(batch, *bias.shape)
    inputs = (x.detach(), weight.detach(), bias.detach(), grad_y.detach().contiguous())
    _native.causal_conv_backward(*inputs, grad_x, parts_weight, parts_bias, threads=native_threads())
    return grad_x, parts_weight.sum(0), parts_bias.sum(0)


@_backward.register_fake
def _backward_fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    grad_y: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), torch.empty_like(weight), torch.empty_like(bias)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _autograd(ctx: Any, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grads: tuple[Tensor, Tensor, Tensor] = _backward(*ctx.saved_tensors, grad_y)
    return grads


_forward.register_autograd(_autograd, setup_context=_setup_context)
