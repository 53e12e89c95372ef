"""How many rows to compute at a time."""

from __future__ import annotations

import torch

from dvmsr.config import NetworkConfig

# What a GPU works on at once is not more than this, and a graph replaces the launches: more pixels would
# mostly take more memory.
_CUDA_PIXELS = 2**18
_OTHER_PIXELS = 2**16
# Of the free memory. The rest is for CUDA's libraries, for the last band, which is a few rows higher, and
# for what others take meanwhile.
_SHARE = 0.5


def band_height(config: NetworkConfig, device: torch.device, width: int) -> int:
    """Return the height of a band, from 1, for the memory that is free now.

    Args:
        config: The network's shape.
        device: Where it is computed.
        width: Pixels in a row.
    """
    pixels = _OTHER_PIXELS
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What PyTorch has taken from the device and keeps for tensors to come.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        pixels = min(_CUDA_PIXELS, int(_SHARE * free) // bytes_per_pixel(config))
    return max(1, pixels // width)


def bytes_per_pixel(config: NetworkConfig) -> int:
    """Return how much memory a band takes at most for each of its pixels, about.

    Measured by the tensors that live at once inside a ViMM, with the native kernels of a CPU: in float32
    4,124 bytes for the student, 13,419 for the teacher; 3,979 and 12,792 in bfloat16, which those kernels
    compute in float32.
    """
    return 23 * (config.channels + config.inner_channels) + 200
