"""The whole network: paper section 3.1, figure 2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from dvmsr.config import RGB_MEAN, STUDENT, NetworkConfig
from dvmsr.kernels import conv3x3
from dvmsr.model.hub import HubNetwork
from dvmsr.model.rssb import RSSB
from dvmsr.weights import Weights, check_weights


class DVMSR(nn.Module, HubNetwork):
    """Enlarges RGB images ``config.scale`` times.

    Shallow features by one convolution, deep features by residual state-space blocks, both added,
    and reconstruction by one convolution and a pixel shuffle. Features lie in memory with the
    channels last, so that an image and its sequence of tokens are the same bytes.

    ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` are those of huggingface_hub's
    ``ModelHubMixin``; see docs/hub.md.

    Args:
        config: The network's shape.
    """

    rgb_mean: Tensor

    def __init__(self, config: NetworkConfig = STUDENT) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.register_buffer("rgb_mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.shallow = nn.Conv2d(3, width, 3, padding=1)
        self.token_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(RSSB(config) for _ in range(config.blocks))
        self.deep_norm = nn.LayerNorm(width)
        self.deep = nn.Conv2d(width, width, 3, padding=1)
        self.reconstruct = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    @classmethod
    def from_weights(cls, weights: Weights) -> DVMSR:
        """Build the network that these weights fit, and fill it with them.

        Raises:
            WeightsError: They are not those of their configuration, or no finite numbers.
        """
        check_weights(weights)
        network = cls(weights.config)
        network.load_state_dict({name: torch.from_numpy(x) for name, x in weights.parameters.items()})
        return network

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            images: RGB in [0, 1], (batch, 3, H, W).

        Returns:
            RGB, about in [0, 1] and not clipped, (batch, 3, scale * H, scale * W).
        """
        centred = (images - self.rgb_mean).permute(0, 2, 3, 1).contiguous()
        shallow = _convolve(self.shallow, centred)
        features = self.token_norm(shallow)
        for block in self.blocks:
            features = block(features)
        features = shallow + _convolve(self.deep, self.deep_norm(features))
        # The last convolution makes pixels: the 8 bits of bfloat16 would be seen in them.
        with torch.autocast(images.device.type, enabled=False):
            pixels = _convolve(self.reconstruct, features.to(self.reconstruct.weight.dtype))
            return shuffle_pixels(pixels, self.config.scale) + self.rgb_mean


def shuffle_pixels(features: Tensor, scale: int) -> Tensor:
    """Arrange features of shape (batch, H, W, 3 * scale^2) as images, (batch, 3, scale * H, scale * W).

    As ``torch.nn.PixelShuffle``, from memory with the channels last to images in one copy.
    """
    batch, height, width, _ = features.shape
    split = features.view(batch, height, width, 3, scale, scale).permute(0, 3, 1, 4, 2, 5)
    return split.reshape(batch, 3, scale * height, scale * width)


def _convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 3x3 convolution to features of shape (batch, H, W, channels)."""
    assert conv.bias is not None
    return conv3x3(x, conv.weight, conv.bias)
