"""The kernels as their definitions: the specification that every fast form is tested against."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dvmsr.kernels.parameters import VimmParameters, VimmState


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
    """Run the gated selective scan, one token after the other.

    With ``step = softplus(delta + delta_bias)`` and the state h starting at ``initial_state``, for each token

        h = exp(step * A) * h + step * B * u
        y = (<h, C> + D * u) * silu(z)

    Source: Mamba (arXiv 2312.00752), algorithm 2; DVMSR paper, section 3.1, equations 1 to 3.

    Args:
        u: Inputs, (batch, length, channels).
        delta: Step sizes before bias and softplus, (batch, length, channels).
        A: State matrix's diagonal, negative, (channels, states).
        B: Input matrix, (batch, length, states).
        C: Output matrix, (batch, length, states).
        D: Skip connection, (channels,).
        z: Gate before SiLU, (batch, length, channels).
        delta_bias: Bias of ``delta``, (channels,).
        initial_state: State before the first token, (batch, channels, states); None is zero.

    Returns:
        The outputs y, (batch, length, channels), and the state after the last token,
        (batch, channels, states).
    """
    step = F.softplus(delta + delta_bias)
    h = u.new_zeros(u.shape[0], *A.shape) if initial_state is None else initial_state
    outputs = []
    for t in range(u.shape[1]):
        decay = torch.exp(step[:, t, :, None] * A)
        h = decay * h + (step[:, t] * u[:, t])[..., None] * B[:, t, None, :]
        outputs.append((h * C[:, t, None, :]).sum(-1) + D * u[:, t])
    return torch.stack(outputs, dim=1) * F.silu(z), h


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve each channel with the tokens at and before each place, and apply SiLU.

    Source: Mamba (arXiv 2312.00752), figure 3; DVMSR paper, section 3.2.

    Args:
        x: Inputs, (batch, length, channels).
        weight: Taps, (channels, 1, taps) as in ``torch.nn.Conv1d``; the last one meets the token itself.
        bias: (channels,).

    Returns:
        Outputs, (batch, length, channels).
    """
    channels, _, taps = weight.shape
    padded = F.pad(x.transpose(1, 2), (taps - 1, 0))
    return F.silu(F.conv1d(padded, weight, bias, groups=channels)).transpose(1, 2)


def vimm(
    x: Tensor,
    parameters: VimmParameters,
    state: VimmState | None = None,
    *,
    residual: bool = False,
    conv: Callable[..., Tensor] = causal_conv1d,
    scan: Callable[..., tuple[Tensor, Tensor]] = selective_scan,
) -> tuple[Tensor, VimmState | None]:
    """Mix the tokens of each sequence: LayerNorm, and Mamba's mixer with one causal scan.

    Source: DVMSR paper, section 3.2, figure 3; Mamba (arXiv 2312.00752), figure 3.

    Args:
        x: Features, (batch, length, C), length from 1.
        parameters: The module's.
        state: What the tokens before left, zeros before the first; None for whole sequences.
        residual: Add x to the result.
        conv: The form of ``causal_conv1d``.
        scan: The form of ``selective_scan``.

    Returns:
        Features of the same shape, and what these tokens leave, if a state was given.
    """
    p = parameters
    rank, states = p.dt_weight.shape[1], p.A_log.shape[1]
    u, z = F.linear(F.layer_norm(x, x.shape[-1:], p.norm_weight, p.norm_bias), p.in_proj).chunk(2, dim=-1)
    mixed = conv(u, p.conv_weight, p.conv_bias)
    reach = p.conv_weight.shape[2] - 1
    if state is not None and reach:
        # Only the first tokens reach back; joining all of them to those before would copy much.
        joined = torch.cat([state.tokens.to(u.dtype), u[:, :reach]], dim=1)
        mixed[:, :reach] = conv(joined, p.conv_weight, p.conv_bias)[:, reach:]
    delta, B, C = torch.split(F.linear(mixed, p.x_proj), [rank, states, states], dim=-1)
    # dt_proj's bias is added inside the scan, before softplus.
    delta = F.linear(delta, p.dt_weight)
    A = -p.A_log.float().exp()
    y, last = scan(mixed, delta, A, B, C, p.D, z, p.dt_bias, None if state is None else state.scan)
    y = F.linear(y, p.out_proj)
    if state is not None:
        recent = u[:, max(0, u.shape[1] - reach) :]
        # A copy: a view would keep more tokens in memory.
        tokens = torch.cat([state.tokens.to(u.dtype), recent], dim=1)[:, recent.shape[1] :].clone()
        state = VimmState(tokens, last)
    return (x + y if residual else y), state


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve images that have a border of zeros.

    Args:
        x: Features, (batch, H, W, inputs).
        weight: (outputs, inputs, 3, 3) as in ``torch.nn.Conv2d``.
        bias: (outputs,).

    Returns:
        Features, (batch, H, W, outputs).
    """
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1).permute(0, 2, 3, 1)
