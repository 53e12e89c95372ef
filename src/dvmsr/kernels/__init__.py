"""The network's kernels: for each one signature, its definition, and its fast forms.

The functions here pick the implementation by the device of their inputs:

* ``dvmsr.kernels.reference`` is the definition, in plain PyTorch, and runs anywhere;
* ``dvmsr.kernels.cpu`` is the native one for a CPU;
* ``dvmsr.kernels.gpu`` is in Triton, for GPUs of NVIDIA and AMD.

Where the fast form for a device is not installed (a source tree without the compiled extension, say),
and on devices that have none, the definition runs, slowly, and says so once. ``using`` overrides the choice.
"""

from __future__ import annotations

from torch import Tensor

from dvmsr.kernels.choice import chosen, using
from dvmsr.kernels.parameters import VimmParameters, VimmState

__all__ = ["VimmParameters", "VimmState", "causal_conv1d", "conv3x3", "selective_scan", "using", "vimm"]


def vimm(
    x: Tensor, parameters: VimmParameters, state: VimmState | None = None, *, residual: bool = False
) -> tuple[Tensor, VimmState | None]:
    """Mix the tokens of each sequence by a Vision Mamba module; see ``dvmsr.kernels.reference.vimm``.

    On a CPU whole sequences pass through it as one fused operation, forward and backward.

    Args:
        x: Features, (batch, length, C), length from 1.
        parameters: The module's.
        state: What the tokens before left, zeros before the first; None for whole sequences. With what one
            part of a sequence leaves, the next goes on.
        residual: Add x to the result.

    Returns:
        Features of the same shape, and what these tokens leave, if a state was given.
    """
    return chosen(x.device.type).vimm(x, parameters, state, residual=residual)


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve images that have a border of zeros.

    Args:
        x: Features, (batch, H, W, inputs).
        weight: (outputs, inputs, 3, 3) as in ``torch.nn.Conv2d``.
        bias: (outputs,).

    Returns:
        Features, (batch, H, W, outputs).
    """
    return chosen(x.device.type).conv3x3(x, weight, bias)


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
    """Run the gated selective scan; see ``dvmsr.kernels.reference.selective_scan`` for its terms.

    Args:
        u: Inputs, (batch, length, channels).
        delta: Step sizes before bias and softplus, (batch, length, channels).
        A: State matrix's diagonal, negative, (channels, states).
        B: Input matrix, (batch, length, states).
        C: Output matrix, (batch, length, states).
        D: Skip connection, (channels,).
        z: Gate before SiLU, (batch, length, channels).
        delta_bias: Bias of ``delta``, (channels,).
        initial_state: State before the first token, (batch, channels, states); None is zero. With the
            last state of one part of a sequence, the scan goes on with the next.

    Returns:
        The outputs y, (batch, length, channels), and the state after the last token,
        (batch, channels, states). Both carry gradients.
    """
    return chosen(u.device.type).selective_scan(u, delta, A, B, C, D, z, delta_bias, initial_state)


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve each channel causally and apply SiLU; see ``dvmsr.kernels.reference.causal_conv1d``.

    Args:
        x: Inputs, (batch, length, channels).
        weight: Taps, (channels, 1, taps) as in ``torch.nn.Conv1d``; the last one meets the token itself.
        bias: (channels,).

    Returns:
        Outputs, (batch, length, channels).
    """
    return chosen(x.device.type).causal_conv1d(x, weight, bias)
