"""PyTorch networks as something that enlarges arrays: ours by its definition, and those of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dvmsr.config import SCALES
from dvmsr.errors import ArgumentError
from dvmsr.plugins import called, describe

# Divisible by much, and not too small for networks that reduce their input.
_PROBE = 24


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
        parameter = next(self._network.parameters(), None)
        device = torch.device("cpu") if parameter is None else parameter.device
        # Beside the training, whose arithmetic may be of lower precision.
        with torch.autocast(device.type, enabled=False):
            # A copy: decoders give arrays that cannot be written.
            low = torch.tensor(np.ascontiguousarray(image), device=device).permute(2, 0, 1)[None].float()
            if image.dtype == np.uint8:
                low /= 255
            with called(f"the network, for an image of {low.shape[3]}x{low.shape[2]},"):
                high = self._network(low)[0].permute(1, 2, 0)
        if image.dtype == np.uint8:
            high = high.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        result: NDArray[Any] = high.cpu().numpy()
        return result


def build_network(
    function: Callable[..., Any], label: str, scale: int | None = None, *arguments: Any
) -> nn.Module:
    """Build a network of somebody's own and try it on a small image.

    Args:
        function: Returns the network, a ``torch.nn.Module`` that enlarges (batch, 3, H, W) in [0, 1].
        label: What to call it in messages.
        scale: What it has to enlarge by; None: 2, 3 or 4.
        arguments: What the function is called with.

    Returns:
        The network, in evaluation.

    Raises:
        ArgumentError: The function fails, returns something else, or the network does not enlarge so.
    """
    try:
        network = function(*arguments)
    except Exception as error:
        raise ArgumentError(f"{label}: building the network failed: {describe(error)}") from error
    if not isinstance(network, nn.Module):
        raise ArgumentError(f"{label}: expected a torch.nn.Module, got {type(network).__name__}")
    network.eval()
    found = network_scale(network, label)
    if scale is not None and found != scale:
        raise ArgumentError(f"{label}: expected a network that enlarges {scale} times, got one of {found}")
    return network


@torch.no_grad()
def network_scale(network: nn.Module, label: str) -> int:
    """Return how many times a network enlarges a small image.

    Args:
        network: Enlarges (batch, 3, H, W) in [0, 1].
        label: What to call it in messages.

    Raises:
        ArgumentError: It fails, or its output is no image of 2, 3 or 4 times the sides.
    """
    parameter = next(network.parameters(), None)
    try:
        output = network(
            torch.zeros(1, 3, _PROBE, _PROBE, device=None if parameter is None else parameter.device)
        )
    except Exception as error:
        raise ArgumentError(
            f"{label}: the network failed for a (1, 3, {_PROBE}, {_PROBE}) input: {describe(error)}"
        ) from error
    for scale in SCALES:
        if isinstance(output, Tensor) and output.shape == (1, 3, scale * _PROBE, scale * _PROBE):
            return scale
    got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise ArgumentError(
        f"{label}: expected the network to enlarge (1, 3, {_PROBE}, {_PROBE}) 2, 3 or 4 times, got {got}"
    )
