"""The shape of the network, in the paper's terms."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from dvmsr.errors import ArgumentError

SCALES = (2, 3, 4)
"""The enlargements that the network is defined for."""

MAX_STATE_SIZE = 256
"""Most states of a channel: the native kernels keep them in memory of this fixed size."""

MAX_VIMMS = 10_000
"""Most ViMMs in all blocks together: names of their parameters are made before anything is computed."""

MAX_WIDTH = 1 << 20
"""Most channels, inner channels over channels, and taps: far beyond what a memory holds."""

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of the training images' red, green and blue in [0, 1], taken off the input and added back."""


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the layers and their shapes (paper section 3.1; supplement for the sizes).

    Raises:
        ArgumentError: A field is not of its type or outside its range.
    """

    scale: int = 4
    """Enlargement: 2, 3 or 4."""

    channels: int = 60
    """Width C of the features between the layers."""

    blocks: int = 4
    """Number of residual state-space blocks (RSSB)."""

    vimms_per_block: int = 2
    """Number of Vision Mamba modules (ViMM) in each RSSB."""

    state_size: int = 16
    """Number of states N that each channel of the scan carries, up to 256."""

    expansion: int = 2
    """Inner width of a ViMM over ``channels``."""

    conv_width: int = 4
    """Taps of the causal depthwise convolution in a ViMM."""

    vimm_residual: bool = False
    """Whether each ViMM adds its input to its output. The released weights were trained without."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise ArgumentError(f"{field.name} must be true or false, got {value!r}")
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{field.name} must be a whole number from 1, got {value!r}")
            elif value > MAX_WIDTH:
                # Not the value: it may have thousands of digits.
                raise ArgumentError(
                    f"{field.name} must be a whole number up to {MAX_WIDTH}, got a larger one"
                )
        if self.scale not in SCALES:
            raise ArgumentError(f"scale must be one of {', '.join(map(str, SCALES))}, got {self.scale}")
        if self.state_size > MAX_STATE_SIZE:
            raise ArgumentError(f"state_size must be up to {MAX_STATE_SIZE}, got {self.state_size}")
        if self.blocks * self.vimms_per_block > MAX_VIMMS:
            raise ArgumentError(
                f"blocks must hold up to {MAX_VIMMS} ViMMs together,"
                f" got {self.blocks} of {self.vimms_per_block}"
            )

    @property
    def inner_channels(self) -> int:
        """Width D of the scan: ``expansion * channels``."""
        return self.expansion * self.channels

    @property
    def dt_rank(self) -> int:
        """Rank of the projection that makes delta: ``ceil(channels / 16)``, Mamba's "auto"."""
        return math.ceil(self.channels / 16)


STUDENT = NetworkConfig()
"""The released network: 424,428 parameters at scale 4."""

TEACHER = NetworkConfig(channels=192, blocks=8)
"""The teacher of the paper: 8 RSSBs of 2 ViMMs, 192 channels."""
