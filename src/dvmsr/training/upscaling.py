"""PyTorch networks as something that enlarges arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class NetworkUpscaler:
    """A network that ``dvmsr.evaluation`` can score, on the device that it is on.

    Args:
        network: Enlarges (batch, 3, H, W) in [0, 1].
        scale: How many times.
    """

    def __init__(self, network: nn.Module, scale: int) -> None:
        self._network = network
        self.scale = scale

    @torch.no_grad()
    def upscale(self, image: NDArray[Any], /) -> NDArray[Any]:
        """Enlarge (H, W, 3) of uint8 (rounded and clipped), or of float32 in [0, 1] (not clipped)."""
        device = next(self._network.parameters()).device
        # Beside the training, whose arithmetic may be of lower precision.
        with torch.autocast(device.type, enabled=False):
            low = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float()
            if image.dtype == np.uint8:
                low /= 255
            high = self._network(low)[0].permute(1, 2, 0)
        if image.dtype == np.uint8:
            high = high.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        result: NDArray[Any] = high.cpu().numpy()
        return result
