"""The native 3x3 convolution as a PyTorch operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library

import dvmsr._native as _native
from dvmsr.kernels.cpu.differentiable import differentiable
from dvmsr.kernels.cpu.layout import dense
from dvmsr.kernels.resources import native_threads


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve images that have a border of zeros; terms as in ``dvmsr.kernels.conv3x3``."""
    # The network's weights lie like that in memory already.
    y: Tensor = _conv3x3(dense(x), dense(weight.permute(0, 2, 3, 1)), dense(bias))
    return y.to(x.dtype)


@library.custom_op("dvmsr::conv3x3", mutates_args=(), device_types="cpu")
def _forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y: Tensor = _forward_fake(x, weight, bias)
    _native.conv3x3_forward(x.detach(), weight.detach(), bias.detach(), y, threads=native_threads())
    return y


@_forward.register_fake
def _forward_fake(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:3], weight.shape[0])


@library.custom_op("dvmsr::conv3x3_backward_input", mutates_args=(), device_types="cpu")
def _backward_input(weight: Tensor, grad_y: Tensor) -> Tensor:
    grad_x: Tensor = _backward_input_fake(weight, grad_y)
    _native.conv3x3_backward_input(weight.detach(), grad_y.detach(), grad_x, threads=native_threads())
    return grad_x


@_backward_input.register_fake
def _backward_input_fake(weight: Tensor, grad_y: Tensor) -> Tensor:
    return grad_y.new_empty(*grad_y.shape[:3], weight.shape[3])


@library.custom_op("dvmsr::conv3x3_backward_weight", mutates_args=(), device_types="cpu")
def _backward_weight(x: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor]:
    grad_weight, grad_bias = _backward_weight_fake(x, grad_y)
    _native.conv3x3_backward_weight(
        x.detach(), grad_y.detach(), grad_weight, grad_bias, threads=native_threads()
    )
    return grad_weight, grad_bias


@_backward_weight.register_fake
def _backward_weight_fake(x: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor]:
    outputs = grad_y.shape[3]
    return x.new_empty(outputs, 3, 3, x.shape[3]), x.new_empty(outputs)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight)


def _autograd(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    x, weight = ctx.saved_tensors
    grad_y = grad_y.contiguous()
    # Images themselves need none.
    grad_x: Tensor | None = _backward_input(weight, grad_y) if ctx.needs_input_grad[0] else None
    grad_weight, grad_bias = _backward_weight(x, grad_y)
    return grad_x, grad_weight, grad_bias


_conv3x3 = differentiable(torch.ops.dvmsr.conv3x3.default, _autograd, _setup_context)
