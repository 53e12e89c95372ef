"""The native ViMM, LayerNorm to out_proj in one, as a PyTorch operator.

The forward pass keeps what in_proj and x_proj made and one state in some tokens; the backward pass computes
the rest again. Under autocast to bfloat16 the products of in_proj, x_proj and out_proj, forward and backward,
are of bfloat16, where the processor multiplies it; sums and all else are float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library

import dvmsr._native as _native
from dvmsr.config import MAX_STATE_SIZE
from dvmsr.errors import ArgumentError
from dvmsr.kernels import reference
from dvmsr.kernels.cpu.causal_conv import causal_conv1d
from dvmsr.kernels.cpu.differentiable import differentiable
from dvmsr.kernels.cpu.layout import dense
from dvmsr.kernels.cpu.scan import selective_scan
from dvmsr.kernels.parameters import VimmParameters, VimmState
from dvmsr.kernels.resources import native_threads

_MULTIPLIES_BFLOAT16 = _native.multiplies_bfloat16()

# Of x and of every parameter.
_Gradients = tuple[
    Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor
]


def vimm(
    x: Tensor, parameters: VimmParameters, state: VimmState | None = None, *, residual: bool = False
) -> tuple[Tensor, VimmState | None]:
    """Mix the tokens of each sequence by a Vision Mamba module; terms as in ``dvmsr.kernels.vimm``.

    Raises:
        ArgumentError: More states than the native kernel has room for.
    """
    if state is not None:
        # Parts of sequences, for bands of images, pass through its operations one by one.
        return reference.vimm(
            x, parameters, state, residual=residual, conv=causal_conv1d, scan=selective_scan
        )
    if parameters.A_log.shape[1] > MAX_STATE_SIZE:
        raise ArgumentError(
            f"the native scan takes up to {MAX_STATE_SIZE} states, got {parameters.A_log.shape[1]}"
        )
    flat = parameters._replace(conv_weight=parameters.conv_weight.squeeze(1))
    y, _ = _vimm(dense(x), *map(dense, flat), residual, _in_bfloat16(x))
    return y.to(x.dtype), None


def _in_bfloat16(x: Tensor) -> bool:
    """Whether to multiply in bfloat16: by the input's type or autocast, and where that is the faster one."""
    asked = x.dtype == torch.bfloat16 or (
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
    return asked and _MULTIPLIES_BFLOAT16


@library.custom_op("dvmsr::vimm", mutates_args=(), device_types="cpu")
def _forward(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    out_proj: Tensor,
    residual: bool,
    bfloat16: bool,
) -> tuple[Tensor, Tensor]:
    parameters = (
        norm_weight,
        norm_bias,
        in_proj,
        conv_weight,
        conv_bias,
        x_proj,
        dt_weight,
        dt_bias,
        A_log,
        D,
        out_proj,
    )
    y, kept = _forward_fake(x, *parameters, residual, bfloat16)
    _native.vimm_forward(
        x.detach(), *(p.detach() for p in parameters), residual, bfloat16, y, kept, threads=native_threads()
    )
    return y, kept


@_forward.register_fake
def _forward_fake(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    out_proj: Tensor,
    residual: bool,
    bfloat16: bool,
) -> tuple[Tensor, Tensor]:
    batch, length, channels = x.shape
    (inner, states), (_, taps), (_, rank) = A_log.shape, conv_weight.shape, dt_weight.shape
    of_token, of_part, besides = _native.vimm_kept(channels, inner, states, taps, rank)
    parts = -(-length // _native.VIMM_PART)
    return torch.empty_like(x), x.new_empty(batch, length * of_token + parts * of_part + besides)


@library.custom_op("dvmsr::vimm_backward", mutates_args=(), device_types="cpu")
def _backward(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    out_proj: Tensor,
    residual: bool,
    bfloat16: bool,
    kept: Tensor,
    grad_y: Tensor,
) -> _Gradients:
    inputs = (
        x,
        norm_weight,
        norm_bias,
        in_proj,
        conv_weight,
        conv_bias,
        x_proj,
        dt_weight,
        dt_bias,
        A_log,
        D,
        out_proj,
    )
    grads: _Gradients = _backward_fake(*inputs, residual, bfloat16, kept, grad_y)
    _native.vimm_backward(
        *(tensor.detach() for tensor in inputs),
        residual,
        bfloat16,
        kept.detach(),
        grad_y.detach().contiguous(),
        *grads,
        threads=native_threads(),
    )
    return grads


@_backward.register_fake
def _backward_fake(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    out_proj: Tensor,
    residual: bool,
    bfloat16: bool,
    kept: Tensor,
    grad_y: Tensor,
) -> _Gradients:
    return (
        torch.empty_like(x),
        torch.empty_like(norm_weight),
        torch.empty_like(norm_bias),
        torch.empty_like(in_proj),
        torch.empty_like(conv_weight),
        torch.empty_like(conv_bias),
        torch.empty_like(x_proj),
        torch.empty_like(dt_weight),
        torch.empty_like(dt_bias),
        torch.empty_like(A_log),
        torch.empty_like(D),
        torch.empty_like(out_proj),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.residual, ctx.bfloat16 = inputs
    _, kept = output
    ctx.mark_non_differentiable(kept)
    # No zeros in the place of a gradient of what is kept.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, kept)


def _autograd(ctx: Any, grad_y: Tensor, grad_kept: None) -> tuple[Tensor | None, ...]:
    *inputs, kept = ctx.saved_tensors
    return (*_backward(*inputs, ctx.residual, ctx.bfloat16, kept, grad_y), None, None)


_vimm = differentiable(torch.ops.dvmsr.vimm.default, _autograd, _setup_context)
