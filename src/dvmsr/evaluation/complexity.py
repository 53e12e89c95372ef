"""What a network costs: parameters, multiply-accumulates and activations, computed from its configuration.

Counting. One MAC is one multiplication with the addition that follows it, if one does. Counted are the
convolutions, the linear layers and the scan; a bias is the start of a sum and costs nothing. Left out are
LayerNorm, SiLU and softplus, the gate, the residual sums and the exponentials of the scan. The scan costs,
for each token and inner channel, four MACs per state (delta*A; (delta*u)*B; the update of h; the sum over the
states in <h, C>) and two more (delta*u; D*u).

Activations are counted as in the NTIRE challenges on efficient super-resolution (after Radosavovic et al.,
"Designing Network Design Spaces", 2020): the elements of the outputs of all 2-D convolutions. What a ViMM
stores in between is not in that number.

The published 20.17 G. The paper gives 20.17 G "FLOPs" for the student at a 256x256 input. The challenge's
script takes this number from fvcore, which sees only what PyTorch traces: the convolutions (12.422 G MACs),
the in_proj of each ViMM (7.550 G) and LayerNorm at 5 operations per element (0.197 G). These three sum to
20.168 G. The rest of each ViMM runs inside one fused CUDA function, which fvcore does not look into. So the
published number leaves out conv1d (0.252 G), x_proj (2.265 G), dt_proj (0.252 G), the scan (4.152 G) and
out_proj (3.775 G), 10.695 G in all. With them, and without LayerNorm, the student costs 30.667 G MACs.
"""

from __future__ import annotations

from dataclasses import dataclass

from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError

SCAN = "ViMM scan"
"""The name of the part that is the scan."""


@dataclass(frozen=True)
class PartCost:
    """The cost of all layers of one kind for one image."""

    name: str
    """The kind of layer, in the paper's terms."""

    parameters: int
    """Numbers that training adjusts."""

    macs: int
    """Multiply-accumulates, as counted in this module."""

    activations: int
    """Elements of the outputs of 2-D convolutions."""


@dataclass(frozen=True)
class Complexity:
    """The cost of a network for one image, by part."""

    height: int
    """Rows of the LR image."""

    width: int
    """Columns of the LR image."""

    parts: tuple[PartCost, ...]
    """All parts, in the order in which data passes them first."""

    @property
    def parameters(self) -> int:
        """Parameters of the whole network."""
        return sum(part.parameters for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network."""
        return sum(part.macs for part in self.parts)

    @property
    def scan_macs(self) -> int:
        """Multiply-accumulates of the scan alone, a part of ``macs``; 0 for a network without one."""
        return sum(part.macs for part in self.parts if part.name == SCAN)

    @property
    def activations(self) -> int:
        """Activations of the whole network."""
        return sum(part.activations for part in self.parts)


def published_macs(config: NetworkConfig, height: int, width: int) -> int:
    """Count as the published numbers are: without Mamba's fused kernel, with LayerNorm (see this module)."""
    fused = ("ViMM conv1d", "ViMM x_proj", "ViMM dt_proj", SCAN, "ViMM out_proj")
    seen = sum(part.macs for part in count_complexity(config, height, width).parts if part.name not in fused)
    norms = config.blocks * config.vimms_per_block + 2
    return seen + 5 * norms * config.channels * height * width


def count_complexity(config: NetworkConfig, height: int, width: int) -> Complexity:
    """Count what one image costs.

    Args:
        config: The network.
        height: Rows of the LR image, from 1.
        width: Columns of the LR image, from 1.

    Returns:
        The cost by part and in total.

    Raises:
        ArgumentError: The image has no pixel.
    """
    if height < 1 or width < 1:
        raise ArgumentError(f"an image has from 1 row and 1 column, got {width}x{height}")
    tokens = height * width
    channels, inner, states, rank = config.channels, config.inner_channels, config.state_size, config.dt_rank
    vimms = config.blocks * config.vimms_per_block

    def conv3x3(name: str, in_channels: int, out_channels: int, layers: int = 1) -> PartCost:
        weights = 9 * in_channels * out_channels
        return PartCost(
            name, layers * (weights + out_channels), layers * weights * tokens, layers * out_channels * tokens
        )

    def in_vimms(name: str, weights: int, biases: int = 0) -> PartCost:
        """A layer of every ViMM in which each weight takes part in one MAC per token."""
        return PartCost(name, vimms * (weights + biases), vimms * weights * tokens, 0)

    parts = (
        conv3x3("shallow convolution", 3, channels),
        # One before the blocks, one in each ViMM, one after the blocks.
        PartCost("LayerNorm", (vimms + 2) * 2 * channels, 0, 0),
        in_vimms("ViMM in_proj", channels * 2 * inner),
        in_vimms("ViMM conv1d", inner * config.conv_width, biases=inner),
        in_vimms("ViMM x_proj", inner * (rank + 2 * states)),
        in_vimms("ViMM dt_proj", rank * inner, biases=inner),
        PartCost(
            SCAN,
            vimms * (inner * states + inner),  # A_log and D
            vimms * inner * (4 * states + 2) * tokens,
            0,
        ),
        in_vimms("ViMM out_proj", inner * channels),
        conv3x3("RSSB convolutions", channels, channels, layers=config.blocks),
        conv3x3("convolution after the blocks", channels, channels),
        conv3x3("reconstruction convolution", channels, 3 * config.scale**2),
    )
    return Complexity(height, width, parts)
