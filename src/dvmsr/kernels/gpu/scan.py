"""The Triton selective scan as a PyTorch operator."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor, library

from dvmsr.kernels.gpu import scan_kernels
from dvmsr.kernels.gpu.layout import alignment, dense_rows, on_device_of, strides, vector_rows

# Channels of a program, one thread each; a single warp, so that no thread ever waits for another warp.
_BLOCK_D = 32
_WARPS = 1
# Programs to split the work into, where it is long enough: about 16 for each of the 132 multiprocessors of
# an H200. It does not depend on the GPU, so that results do not.
_PROGRAMS = 2048
# Tokens between two states that the forward pass keeps, and those whose states the backward pass holds.
_CHECKPOINT = 16
_GROUP = 4
# Channels that the backward pass counts as one.
_UNIT = 8
# Chunks that the carry reads at once.
_CARRY_AHEAD = 32


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
    """Run the gated selective scan; terms as in ``dvmsr.kernels.selective_scan``."""
    if initial_state is None:
        initial_state = A.new_zeros(u.shape[0], *A.shape, dtype=torch.float32)
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    save = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    y, last_state, _ = _forward(*inputs, save)
    return y, last_state


def _chunk_length(u: Tensor) -> int:
    """Tokens in a chunk: few enough to keep the GPU full, a multiple of CHECKPOINT."""
    batch, length, channels = u.shape
    work = batch * length * triton.cdiv(channels, _BLOCK_D)
    wanted = triton.cdiv(work, _PROGRAMS)
    checkpoints: int = min(triton.cdiv(wanted, _CHECKPOINT), triton.cdiv(length, _CHECKPOINT))
    return checkpoints * _CHECKPOINT


def _tile(states: int, align: int) -> dict[str, int]:
    """What the programs that walk over tokens hold at once."""
    return {
        "GROUP": _GROUP,
        "ALIGN": align,
        "BLOCK_D": _BLOCK_D,
        "BLOCK_N": triton.next_power_of_2(states),
        "num_warps": _WARPS,
    }


def _carry(
    A: Tensor, ends: Tensor, steps: Tensor, entering: Tensor, *, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Return what enters each chunk, (batch, chunks, states, channels), and what leaves the last one."""
    batch, chunks, states, channels = ends.shape
    starts, leaving = torch.empty_like(ends), torch.empty_like(entering)
    grid = (states, triton.cdiv(channels, _BLOCK_D), batch)
    scan_kernels.carry[grid](
        A, ends, steps, entering, starts, leaving, channels, states, chunks,
        REVERSE=reverse, BLOCK_D=_BLOCK_D, AHEAD=_CARRY_AHEAD, num_warps=_WARPS,
    )  # fmt: skip
    return starts, leaving


@library.custom_op("dvmsr::selective_scan_gpu", mutates_args=())
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
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    u, delta, z = (dense_rows(x) for x in (u, delta, z))
    B, C = vector_rows(B), vector_rows(C)
    D, delta_bias = D.contiguous(), delta_bias.contiguous()
    batch, length, channels = u.shape
    states = A.shape[1]
    states_first = A.t().contiguous()
    chunk = _chunk_length(u)
    chunks = triton.cdiv(length, chunk)
    grid = (chunks, triton.cdiv(channels, _BLOCK_D), batch)
    align = alignment(B, C)
    tile = _tile(states, align)
    y, _, checkpoints = _forward_fake(u, delta, A, B, C, D, z, delta_bias, initial_state, save)
    ends = u.new_empty(batch, chunks, states, channels, dtype=torch.float32)
    steps = u.new_empty(batch, chunks, channels, dtype=torch.float32)
    with on_device_of(u):
        scan_kernels.chunk_ends[grid](
            u, delta, states_first, B, delta_bias, ends, steps, length, channels, states, chunk,
            *strides(u), *strides(delta), *strides(B, align), **tile,
        )  # fmt: skip
        starts, last_state = _carry(
            states_first, ends, steps, initial_state.float().contiguous(), reverse=False
        )
        scan_kernels.scan_forward[grid](
            u, delta, states_first, B, C, D, z, delta_bias, starts, y, checkpoints,
            length, channels, states, chunk,
            *strides(u), *strides(delta), *strides(B, align), *strides(C, align), *strides(z),
            SAVE=save, CHECKPOINT=_CHECKPOINT, **tile,
        )  # fmt: skip
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
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, channels = u.shape
    kept = -(-length // _CHECKPOINT) if save else 0
    return (
        u.new_empty(u.shape),
        initial_state.new_empty(initial_state.shape, dtype=torch.float32),
        u.new_empty((batch, kept, A.shape[1], channels), dtype=torch.float32),
    )


@library.custom_op("dvmsr::selective_scan_gpu_backward", mutates_args=())
def _backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    checkpoints: Tensor,
    grad_y: Tensor,
    grad_last_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    types = [x.dtype for x in (u, delta, A, B, C, D, z, delta_bias)]
    u, delta, z = (dense_rows(x) for x in (u, delta, z))
    B, C = vector_rows(B), vector_rows(C)
    D, delta_bias, grad_y = (x.contiguous() for x in (D, delta_bias, grad_y))
    batch, length, channels = u.shape
    states = A.shape[1]
    states_first = A.t().contiguous()
    chunk = _chunk_length(u)
    chunks, parts = triton.cdiv(length, chunk), triton.cdiv(channels, _BLOCK_D)
    unit = _UNIT if channels % _UNIT == 0 else 1
    grid = (chunks, parts, batch)
    align = alignment(B, C)
    tile = _tile(states, align)

    def partial(*shape: int) -> Tensor:
        return u.new_empty(shape, dtype=torch.float32)

    ends, steps = partial(batch, chunks, states, channels), partial(batch, chunks, channels)
    grad_u, grad_delta, grad_z = (x.new_empty(x.shape) for x in (u, delta, z))
    parts_A = partial(batch, chunks, states, channels)
    parts_B, parts_C = partial(parts, batch, length, states), partial(parts, batch, length, states)
    parts_D, parts_bias = partial(batch, chunks, channels), partial(batch, chunks, channels)
    with on_device_of(u):
        scan_kernels.chunk_gradients[grid](
            delta, states_first, C, z, delta_bias, grad_y, ends, steps, length, channels, states, chunk,
            *strides(delta), *strides(C, align), *strides(z), **tile,
        )  # fmt: skip
        entering, grad_initial = _carry(
            states_first, ends, steps, grad_last_state.float().contiguous(), reverse=True
        )
        scan_kernels.scan_backward[grid](
            u, delta, states_first, B, C, D, z, delta_bias, checkpoints, entering, grad_y,
            grad_u, grad_delta, parts_A, parts_B, parts_C, parts_D, grad_z, parts_bias,
            length, channels // unit, states, chunk,
            *strides(u), *strides(delta), *strides(B, align), *strides(C, align), *strides(z),
            CHECKPOINT=_CHECKPOINT, UNIT=unit, **tile,
        )  # fmt: skip
    return (
        grad_u,
        grad_delta,
        parts_A.sum((0, 1)).t().to(types[2]).contiguous(),
        parts_B.sum(0).to(types[3]),
        parts_C.sum(0).to(types[4]),
        parts_D.sum((0, 1)).to(types[5]),
        grad_z,
        parts_bias.sum((0, 1)).to(types[7]),
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
    checkpoints: Tensor,
    grad_y: Tensor,
    grad_last_state: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    grads = [x.new_empty(x.shape) for x in (u, delta, A, B, C, D, z, delta_bias)]
    to_initial = grad_last_state.new_empty(grad_last_state.shape, dtype=torch.float32)
    return grads[0], grads[1], grads[2], grads[3], grads[4], grads[5], grads[6], grads[7], to_initial


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    u, delta, A, B, C, D, z, delta_bias, initial_state, _ = inputs
    ctx.initial_type = initial_state.dtype
    # Zeros for the checkpoints' gradient, which nobody has, would be as large as an activation.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, output[2])


def _autograd(
    ctx: Any, grad_y: Tensor | None, grad_last_state: Tensor | None, grad_checkpoints: Tensor | None
) -> tuple[Tensor | None, ...]:
    del grad_checkpoints  # they leave this module only as another operator's input
    u, _, A, *_ = ctx.saved_tensors
    if grad_y is None:
        grad_y = torch.zeros_like(u)
    if grad_last_state is None:
        grad_last_state = A.new_zeros(u.shape[0], *A.shape, dtype=torch.float32)
    *grads, to_initial = _backward(*ctx.saved_tensors, grad_y, grad_last_state)
    return *grads, to_initial.to(ctx.initial_type), None


_forward.register_autograd(_autograd, setup_context=_setup_context)
