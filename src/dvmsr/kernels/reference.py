"""The kernels as their definitions: the specification that every fast form is tested against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
