"""The kernels of a ViMM: for each one signature, its definition, and its fast forms.

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

__all__ = ["causal_conv1d", "selective_scan", "using"]


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
