"""The residual state-space block (RSSB): paper section 3.1, equation 5."""

from __future__ import annotations

from torch import Tensor, nn

from dvmsr.config import NetworkConfig
from dvmsr.kernels import conv3x3
from dvmsr.model.vimm import ViMM


class RSSB(nn.Module):
    """ViMMs over the tokens, a 3x3 convolution over the image, and a residual around both."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.vimms = nn.ModuleList(ViMM(config) for _ in range(config.vimms_per_block))
        self.conv = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to features of shape (batch, H, W, channels)."""
        tokens = x.flatten(1, 2)
        for vimm in self.vimms:
            tokens = vimm(tokens)
        assert self.conv.bias is not None
        return x + conv3x3(tokens.view_as(x), self.conv.weight, self.conv.bias)
