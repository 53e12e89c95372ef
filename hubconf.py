"""What ``torch.hub.load(REPOSITORY, "dvmsr")`` gives: the network in PyTorch, without installing anything."""

import sys
from pathlib import Path

dependencies = ["torch", "numpy", "safetensors"]


def dvmsr(scale: int = 4, pretrained: bool = True):
    """Return the network, a ``torch.nn.Module`` that enlarges (batch, 3, H, W) in [0, 1].

    Args:
        scale: How many times: 4 with the weights that are shipped; 2 or 3 for training.
        pretrained: Whether it has the weights that are shipped, or random ones.
    """
    source = str(Path(__file__).parent / "src")
    if source not in sys.path:
        sys.path.insert(0, source)
    from dvmsr import ArgumentError, NetworkConfig
    from dvmsr.model import DVMSR
    from dvmsr.weights import load_weights

    if pretrained:
        if scale != 4:
            raise ArgumentError(f"there are weights for scale 4 alone, not {scale}: take pretrained=False")
        return DVMSR.from_weights(load_weights()).eval()
    return DVMSR(NetworkConfig(scale=scale))
