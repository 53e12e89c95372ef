"""What the fused ViMM is given and leaves, beside its tokens."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class VimmParameters(NamedTuple):
    """The parameters of a ViMM. C, D, N and so on as in ``dvmsr.model.vimm``; K is the width of conv1d."""

    norm_weight: Tensor
    """(C,)"""

    norm_bias: Tensor
    """(C,)"""

    in_proj: Tensor
    """To u and z, (2 D, C)."""

    conv_weight: Tensor
    """(D, 1, K) as in ``torch.nn.Conv1d``; the last tap meets the token itself."""

    conv_bias: Tensor
    """(D,)"""

    x_proj: Tensor
    """To delta's low rank R, B and C, (R + 2 N, D)."""

    dt_weight: Tensor
    """From the low rank to delta, (D, R)."""

    dt_bias: Tensor
    """(D,)"""

    A_log: Tensor
    """A = -exp(A_log), (D, N)."""

    D: Tensor
    """Skip connection, (D,)."""

    out_proj: Tensor
    """(C, D)"""


class VimmState(NamedTuple):
    """What one part of a sequence leaves for the next."""

    tokens: Tensor
    """The last inputs of conv1d, which its taps still reach: (batch, K - 1, D)."""

    scan: Tensor
    """The scan's state, (batch, D, N)."""
