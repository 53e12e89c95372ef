"""The Vision Mamba module (ViMM): paper section 3.2, figure 3.

The symbols of the paper and of Mamba (arXiv 2312.00752), and their names here:

    L          length            tokens of one image: height * width, in raster order
    C          channels          width of the features
    D (E C)    inner_channels    width of the scan ("D" alone is also the scan's skip connection)
    N          state_size        states that each channel carries
    Δ          delta             step size of each token and channel
    A, B, C, D                   the state space: decay, input, output, skip
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dvmsr.config import NetworkConfig
from dvmsr.kernels import VimmParameters, VimmState, vimm

# Mamba's published start: softplus(delta_bias) is log-uniform in this range.
_DELTA_START = (1e-3, 1e-1)


class Mamba(nn.Module):
    """The parameters of Mamba's mixer, and their start; the kernel ``vimm`` computes it."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inner = config.inner_channels
        self.in_proj = nn.Linear(config.channels, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, config.conv_width, groups=inner)
        self.x_proj = nn.Linear(inner, config.dt_rank + 2 * config.state_size, bias=False)
        self.dt_proj = nn.Linear(config.dt_rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, config.state_size))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, config.channels, bias=False)
        self._reset_state_space()

    @torch.no_grad()
    def _reset_state_space(self) -> None:
        """Start as Mamba does: A[n] = -n, and steps spread over two decades."""
        self.A_log.copy_(torch.arange(1, self.A_log.shape[1] + 1).log().expand_as(self.A_log))
        bound = self.dt_proj.in_features**-0.5
        self.dt_proj.weight.uniform_(-bound, bound)
        low, high = (math.log(x) for x in _DELTA_START)
        delta = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # softplus's inverse


class ViMM(nn.Module):
    """LayerNorm and Mamba: (batch, L, channels) to the same shape.

    The released weights were trained with no residual around the module; ``vimm_residual`` in the
    configuration adds one.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.channels)
        self.mamba = Mamba(config)
        self.residual = config.vimm_residual

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module to features of shape (batch, L, channels)."""
        y, _ = vimm(x, self._parameters_of_kernel(), residual=self.residual)
        return y

    def resume(self, x: Tensor, state: VimmState) -> tuple[Tensor, VimmState]:
        """Mix the next tokens of each sequence: parts, one after the other, give what the whole gives.

        Args:
            x: Features, (batch, L, channels), L from 1.
            state: What the tokens before left; zeros before the first.

        Returns:
            Features of the same shape, and what these tokens leave.
        """
        y, after = vimm(x, self._parameters_of_kernel(), state, residual=self.residual)
        assert after is not None
        return y, after

    def _parameters_of_kernel(self) -> VimmParameters:
        mamba = self.mamba
        assert mamba.conv1d.bias is not None
        return VimmParameters(
            norm_weight=self.norm.weight,
            norm_bias=self.norm.bias,
            in_proj=mamba.in_proj.weight,
            conv_weight=mamba.conv1d.weight,
            conv_bias=mamba.conv1d.bias,
            x_proj=mamba.x_proj.weight,
            dt_weight=mamba.dt_proj.weight,
            dt_bias=mamba.dt_proj.bias,
            A_log=mamba.A_log,
            D=mamba.D,
            out_proj=mamba.out_proj.weight,
        )
