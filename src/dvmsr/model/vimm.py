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
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvmsr.config import NetworkConfig
from dvmsr.kernels import causal_conv1d, selective_scan

# Mamba's published start: softplus(delta_bias) is log-uniform in this range.
_DELTA_START = (1e-3, 1e-1)


class MambaState(NamedTuple):
    """What one part of a sequence leaves for the next."""

    tokens: Tensor
    """The last inputs of conv1d, which its taps still reach: (batch, conv_width - 1, inner_channels)."""

    scan: Tensor
    """The scan's state, (batch, inner_channels, state_size)."""


class Mamba(nn.Module):
    """Mamba's mixer with one causal scan: (batch, L, channels) to the same shape."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inner = config.inner_channels
        self.dt_rank = config.dt_rank
        self.state_size = config.state_size
        self.in_proj = nn.Linear(config.channels, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, config.conv_width, groups=inner)
        self.x_proj = nn.Linear(inner, self.dt_rank + 2 * self.state_size, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, self.state_size))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, config.channels, bias=False)
        self._reset_state_space()

    @torch.no_grad()
    def _reset_state_space(self) -> None:
        """Start as Mamba does: A[n] = -n, and steps spread over two decades."""
        self.A_log.copy_(torch.arange(1, self.state_size + 1).log().expand_as(self.A_log))
        bound = self.dt_rank**-0.5
        self.dt_proj.weight.uniform_(-bound, bound)
        low, high = (math.log(x) for x in _DELTA_START)
        delta = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # softplus's inverse

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of each sequence.

        Args:
            x: Features, (batch, L, channels).

        Returns:
            Features of the same shape.
        """
        u, z = self.in_proj(x).chunk(2, dim=-1)
        y, _ = self._scan(self._conv(u), z)
        return y

    def resume(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """Mix the next tokens of each sequence: parts, one after the other, give what the whole gives.

        Args:
            x: Features, (batch, L, channels), L from 1.
            state: What the tokens before left; zeros before the first.

        Returns:
            Features of the same shape, and what these tokens leave.
        """
        u, z = self.in_proj(x).chunk(2, dim=-1)
        before, reach = state.tokens.to(u.dtype), state.tokens.shape[1]
        mixed = self._conv(u)
        if reach:
            # Only the first tokens reach back; joining all of them to those before would copy much.
            mixed[:, :reach] = self._conv(torch.cat([before, u[:, :reach]], dim=1))[:, reach:]
        y, scan = self._scan(mixed, z, state.scan)
        recent = u[:, max(0, u.shape[1] - reach) :]
        # A copy: a view would keep more tokens in memory.
        tokens = torch.cat([before, recent], dim=1)[:, recent.shape[1] :].clone()
        return y, MambaState(tokens, scan)

    def _conv(self, u: Tensor) -> Tensor:
        assert self.conv1d.bias is not None
        return causal_conv1d(u, self.conv1d.weight, self.conv1d.bias)

    def _scan(self, u: Tensor, z: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        delta, B, C = self.x_proj(u).split([self.dt_rank, self.state_size, self.state_size], dim=-1)
        # dt_proj's bias is added inside the scan, before softplus.
        delta = F.linear(delta, self.dt_proj.weight)
        A = -self.A_log.float().exp()
        y, last_state = selective_scan(u, delta, A, B, C, self.D, z, self.dt_proj.bias, state)
        return self.out_proj(y), last_state


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
        y: Tensor = self.mamba(self.norm(x))
        return x + y if self.residual else y

    def resume(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """Apply the module to the next tokens of each sequence; see ``Mamba.resume``."""
        y, after = self.mamba.resume(self.norm(x), state)
        return x + y if self.residual else y, after
