"""The ViMM on a GPU: PyTorch's products, and between them the kernels in Triton."""

from __future__ import annotations

from torch import Tensor

from dvmsr.kernels import reference
from dvmsr.kernels.gpu.causal_conv import causal_conv1d
from dvmsr.kernels.gpu.scan import selective_scan
from dvmsr.kernels.parameters import VimmParameters, VimmState


def vimm(
    x: Tensor, parameters: VimmParameters, state: VimmState | None = None, *, residual: bool = False
) -> tuple[Tensor, VimmState | None]:
    """Mix the tokens of each sequence by a Vision Mamba module; terms as in ``dvmsr.kernels.vimm``."""
    return reference.vimm(x, parameters, state, residual=residual, conv=causal_conv1d, scan=selective_scan)
