"""RLFN, the efficient-SR network that DVMSR's speed is measured against.

"Residual Local Feature Network for Efficient Super-Resolution" (Kong et al., CVPR Workshops 2022, arXiv
2205.07514), in the size that the NTIRE 2024 efficient super-resolution challenge took as its baseline:
317,218 parameters, 4x.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEGATIVE_SLOPE = 0.05


class ESA(nn.Module):
    """Enhanced spatial attention, slimmed (section 3.2): one factor per pixel and channel, from a wide view.

    Args:
        channels: Width of the features.
        esa_channels: Width inside the attention.
    """

    def __init__(self, channels: int, esa_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, esa_channels, 1)
        self.conv_f = nn.Conv2d(esa_channels, esa_channels, 1)
        self.conv2 = nn.Conv2d(esa_channels, esa_channels, 3, stride=2)
        self.conv3 = nn.Conv2d(esa_channels, esa_channels, 3, padding=1)
        self.conv4 = nn.Conv2d(esa_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; H and W at least 15, for the stride and the pooling."""
        narrow = self.conv1(x)
        coarse = F.max_pool2d(self.conv2(narrow), kernel_size=7, stride=3)
        coarse = F.interpolate(self.conv3(coarse), x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(coarse + self.conv_f(narrow)))


class RLFB(nn.Module):
    """Residual local feature block (section 3.1): three convolutions, a residual, then attention.

    Args:
        channels: Width at the block's ends.
        mid_channels: Width between its convolutions.
        esa_channels: Width inside its attention.
    """

    def __init__(self, channels: int, mid_channels: int, esa_channels: int) -> None:
        super().__init__()
        self.c1_r = nn.Conv2d(channels, mid_channels, 3, padding=1)
        self.c2_r = nn.Conv2d(mid_channels, mid_channels, 3, padding=1)
        self.c3_r = nn.Conv2d(mid_channels, channels, 3, padding=1)
        self.c5 = nn.Conv2d(channels, channels, 1)
        self.esa = ESA(channels, esa_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        y = x
        for conv in (self.c1_r, self.c2_r, self.c3_r):
            y = F.leaky_relu(conv(y), NEGATIVE_SLOPE)
        out: Tensor = self.esa(self.c5(y + x))
        return out


class RLFN(nn.Module):
    """The network (figure 2). Parameters have the names of the published weights.

    Args:
        channels: Width of the features.
        mid_channels: Width inside the blocks.
        esa_channels: Width inside the attention.
        scale: Enlargement.
    """

    def __init__(
        self, channels: int = 46, mid_channels: int = 48, esa_channels: int = 16, scale: int = 4
    ) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(3, channels, 3, padding=1)
        self.block_1 = RLFB(channels, mid_channels, esa_channels)
        self.block_2 = RLFB(channels, mid_channels, esa_channels)
        self.block_3 = RLFB(channels, mid_channels, esa_channels)
        self.block_4 = RLFB(channels, mid_channels, esa_channels)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = nn.Sequential(
            nn.Conv2d(channels, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in the range 0 to 255 to (B, 3, scale*H, scale*W) in the same, unclipped."""
        shallow = self.conv_1(image)
        deep = self.block_4(self.block_3(self.block_2(self.block_1(shallow))))
        out: Tensor = self.upsampler(self.conv_2(deep) + shallow)
        return out
