"""The table that challenges on efficient super-resolution print, for this network beside their baseline.

The counts are exact. Time and memory are this machine's: float32, from pixels in memory to pixels in memory,
DVMSR by the engine and RLFN by PyTorch with the channels last, in turns, each in a process of its own. RLFN's
weights are random: they change its output, not what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError, MissingExtraError
from dvmsr.evaluation.complexity import Complexity, PartCost, count_complexity, published_macs
from dvmsr.evaluation.measuring import measure
from dvmsr.inference import Upscaler
from dvmsr.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

_REPEATS = 5
# Its stride and pooling leave nothing of less.
_SMALLEST = 15


@dataclass(frozen=True)
class Efficiency:
    """What a network costs for one image: one column of the table."""

    name: str
    """The network."""

    complexity: Complexity
    """Parameters, multiply-accumulates and activations."""

    published_macs: int
    """Multiply-accumulates as the challenges count, which see nothing of a fused scan."""

    seconds: float
    """Wall time of one image, the median of some runs."""

    memory_mib: float
    """Peak memory of the process, libraries included."""


@dataclass(frozen=True)
class _Case:
    weights: Weights
    is_peer: bool
    """Whether it is RLFN, of the same scale."""
    height: int
    width: int
    threads: int

    def image(self) -> NDArray[np.float32]:
        return np.random.default_rng(0).random((self.height, self.width, 3), dtype=np.float32)


def measure_efficiency(weights: Weights, height: int, width: int, threads: int) -> list[Efficiency]:
    """Count and measure DVMSR and RLFN, the baseline of the NTIRE 2024 challenge.

    Args:
        weights: Of DVMSR; RLFN is of the same scale.
        height: Rows of the LR image, from 15: RLFN takes no smaller ones.
        width: Columns of the LR image, from 15.
        threads: CPU threads.

    Returns:
        DVMSR's column and RLFN's.

    Raises:
        ArgumentError: The image is too small.
        MissingExtraError: PyTorch is not installed.
    """
    if min(height, width) < _SMALLEST:
        raise ArgumentError(f"RLFN takes images from {_SMALLEST}x{_SMALLEST}, got {height}x{width}")
    own, peer = (
        count_complexity(weights.config, height, width),
        rlfn_complexity(weights.config.scale, height, width),
    )
    cases = [_Case(weights, is_peer, height, width, threads) for is_peer in (False, True)]
    ours, theirs = measure(_build, cases, warm_up=1, repeats=_REPEATS)
    published = published_macs(weights.config, height, width)
    return [
        Efficiency("DVMSR", own, published, ours.seconds, ours.peak_mib),
        Efficiency("RLFN", peer, peer.macs, theirs.seconds, theirs.peak_mib),
    ]


def rlfn_complexity(scale: int, height: int, width: int) -> Complexity:
    """Count what one image costs RLFN: its 2-D convolutions, from the network itself.

    Args:
        scale: Enlargement.
        height: Rows of the LR image, from 15.
        width: Columns of the LR image, from 15.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    try:
        import torch
        from torch import nn
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "gpu", "RLFN") from error
    from dvmsr.evaluation.rlfn import RLFN

    parts: list[PartCost] = []

    def count(name: str, conv: nn.Conv2d, _: Any, output: Tensor) -> None:
        weights, biases = conv.weight.numel(), conv.out_channels
        macs = weights * output.shape[2] * output.shape[3]
        parts.append(PartCost(name, weights + biases, macs, output.numel()))

    # Shapes without numbers.
    with torch.device("meta"), torch.no_grad():
        network = RLFN(scale=scale)
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(partial(count, name))
        network(torch.empty(1, 3, height, width))
    return Complexity(height, width, tuple(parts))


def _build(case: _Case) -> Callable[[], object]:
    """Return what enlarges the case's image once; called in a process of its own."""
    image = case.image()
    if not case.is_peer:
        upscaler = Upscaler(case.weights, threads=case.threads)
        return lambda: upscaler.upscale(image)
    # Here, for the engine's process shall be as small as it is.
    import torch
    from torch.nn.utils import convert_conv2d_weight_memory_format

    from dvmsr.evaluation.rlfn import RLFN

    torch.set_num_threads(case.threads)
    scale = case.weights.config.scale
    network = convert_conv2d_weight_memory_format(RLFN(scale=scale).eval(), torch.channels_last)
    # So permuted, its channels lie last.
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].mul(255)

    @torch.inference_mode()
    def run() -> object:
        return network(batch)

    return run
