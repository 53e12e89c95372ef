"""The kernels of a ViMM: for each one signature, its definition, and its fast forms.

The functions here pick the implementation by the device of their inputs:

* ``dvmsr.kernels.reference`` is the definition, in plain PyTorch, and runs anywhere;
* ``dvmsr.kernels.cpu`` is the native one, forward and backward, for float32 on a CPU.

Where the native extension was not built (a source tree put on a GPU machine, say), the definition
runs on the CPU too, slowly, and says so once.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import cache

from torch import Tensor

from dvmsr.kernels import reference

__all__ = ["causal_conv1d", "selective_scan"]


_SLOW = "dvmsr._native is not built: the kernels run by their definition, many times slower; pip install ."


_HAS_NATIVE = importlib.util.find_spec("dvmsr._native") is not None


@cache
def _warn_of_slow_kernels() -> None:
    warnings.warn(_SLOW, RuntimeWarning, stacklevel=3)


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
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

    Returns:
        The outputs y, (batch, length, channels), and the state after the last token,
        (batch, channels, states). Both carry gradients.
    """
    if u.device.type == "cpu":
        if _HAS_NATIVE:
            from dvmsr.kernels import cpu

            return cpu.selective_scan(u, delta, A, B, C, D, z, delta_bias)
        _warn_of_slow_kernels()
    return reference.selective_scan(u, delta, A, B, C, D, z, delta_bias)


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve each channel causally and apply SiLU; see ``dvmsr.kernels.reference.causal_conv1d``.

    Args:
        x: Inputs, (batch, length, channels).
        weight: Taps, (channels, 1, taps) as in ``torch.nn.Conv1d``; the last one meets the token itself.
        bias: (channels,).

    Returns:
        Outputs, (batch, length, channels).
    """
    if x.device.type == "cpu":
        if _HAS_NATIVE:
            from dvmsr.kernels import cpu

            return cpu.causal_conv1d(x, weight, bias)
        _warn_of_slow_kernels()
    return reference.causal_conv1d(x, weight, bias)
