"""The native selective scan as a PyTorch operator.

The forward pass keeps one state in ``SCAN_CHUNK`` tokens; the backward pass computes the others
again, so that no (length, channels, states) array is ever in memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library

import dvmsr._native as _native
from dvmsr.config import MAX_STATE_SIZE
from dvmsr.errors import ArgumentError
from dvmsr.kernels.cpu.layout import dense, tokens
from dvmsr.kernels.resources import native_threads

_SCAN_CHUNK: int = _native.SCAN_CHUNK


def selective_scan(
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
    """Run the gated selective scan; terms as in ``dvmsr.kernels.selective_scan``.

    Raises:
        ArgumentError: More states than the native kernel has room for.
    """
    if A.shape[1] > MAX_STATE_SIZE:
        raise ArgumentError(f"the native scan takes up to {MAX_STATE_SIZE} states, got {A.shape[1]}")
    if initial_state is None:
        initial_state = A.new_zeros(u.shape[0], *A.shape)
    y, last_state, _ = _forward(
        dense(u),
        dense(delta),
        dense(A),
        dense(B),
        dense(C),
        dense(D),
        tokens(z),
        dense(delta_bias),
        dense(initial_state),
    )
    return y.to(u.dtype), last_state


def _checkpoint_shape(u: Tensor, A: Tensor) -> tuple[int, int, int, int]:
    batch, length, channels = u.shape
    return batch, -(-length // _SCAN_CHUNK), A.shape[1], channels


@library.custom_op("dvmsr::selective_scan", mutates_args=(), device_types="cpu")
def _forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    y, last_state, checkpoints = _forward_fake(*inputs)
    _native.selective_scan_forward(
        *(x.detach() for x in inputs), y, last_state, checkpoints, threads=native_threads()
    )
    return y, last_state, checkpoints


@_forward.register_fake
def _forward_fake(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(u), A.new_empty(u.shape[0], *A.shape), u.new_empty(_checkpoint_shape(u, A))


@library.custom_op("dvmsr::selective_scan_backward", mutates_args=(), device_types="cpu")
def _backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor,
    checkpoints: Tensor,
    grad_y: Tensor,
    grad_last_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch = u.shape[0]
    # The native code leaves one part of A's, D's and delta_bias's gradient for each sequence;
    # adding them up in a fixed order keeps the result independent of the threads.
    grads = [
        torch.empty_like(u),
        torch.empty_like(u),
        A.new_empty(batch, *A.shape),
        torch.empty_like(B),
        torch.empty_like(C),
        D.new_empty(batch, *D.shape),
        torch.empty_like(u),
        D.new_empty(batch, *D.shape),
        torch.empty_like(initial_state),
    ]
    inputs = (
        u,
        delta,
        A,
        B,
        C,
        D,
        z,
        delta_bias,
        initial_state,
        checkpoints,
        grad_y.contiguous(),
        grad_last_state.contiguous(),
    )
    _native.selective_scan_backward(*(x.detach() for x in inputs), *grads, threads=native_threads())
    grad_u, grad_delta, parts_A, grad_B, grad_C, parts_D, grad_z, parts_bias, grad_initial = grads
    return (
        grad_u,
        grad_delta,
        parts_A.sum(0),
        grad_B,
        grad_C,
        parts_D.sum(0),
        grad_z,
        parts_bias.sum(0),
        grad_initial,
    )


@_backward.register_fake
def _backward_fake(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor,
    checkpoints: Tensor,
    grad_y: Tensor,
    grad_last_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    grads = [x.new_empty(x.shape) for x in (u, delta, A, B, C, D, z, delta_bias, initial_state)]
    return grads[0], grads[1], grads[2], grads[3], grads[4], grads[5], grads[6], grads[7], grads[8]


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs, output[2])


def _autograd(
    ctx: Any, grad_y: Tensor, grad_last_state: Tensor, grad_checkpoints: Tensor
) -> tuple[Tensor, ...]:
    del grad_checkpoints  # they leave this module only as another operator's input
    grads: tuple[Tensor, ...] = _backward(*ctx.saved_tensors, grad_y, grad_last_state)
    return grads


_forward.register_autograd(_autograd, setup_context=_setup_context)
