"""Where the engine's time goes, beside what the machine could do at best: the floor."""

from __future__ import annotations

from dataclasses import dataclass

from dvmsr.config import NetworkConfig

EXP = 8
"""Multiplications and additions that an exponential takes at least (native/simd.hpp)."""

SILU = EXP + 3
"""x / (1 + exp(-x)): a product for the base of the exponential, an addition and a division."""

SOFTPLUS = EXP + 15
"""log(1 + exp(x)) as native/simd.hpp evaluates it."""


@dataclass(frozen=True)
class Work:
    """What an operation has to do for each pixel of the input, over all its places in the network."""

    flop: float
    """Multiplications, additions and divisions."""

    bytes: float
    """What it reads and writes of features, each once. Weights stay in the caches and are not counted."""

    wide: bool = False
    """Whether it multiplies what ``precision`` names; the others multiply float32."""


@dataclass(frozen=True)
class Stage:
    """One operation: what it has to do, and how long it took."""

    name: str
    """The layer's name in the network, or ``read``, ``norm``, ``conv`` (all 3x3 convolutions between
    features), ``write``."""

    work: Work

    floor_seconds: float
    """What one core needs at its measured peak, for all pixels: the longer of the time for the arithmetic
    and of that for the bytes."""

    seconds: float
    """What it took, of all threads together."""


@dataclass(frozen=True)
class Profile:
    """An image's way through the engine."""

    precision: str
    """"fp32" or "bf16"."""

    threads: int
    """How many might work."""

    pixels: int
    """Of the input, as far as it has come out again."""

    seconds: float
    """Time of the calls, from outside."""

    peak_flops: float
    """Multiplications and additions that one core makes in a second on float32: a register-blocked loop
    of fused multiply-adds."""

    peak_wide_flops: float
    """The same on what ``precision`` names."""

    peak_bytes: float
    """Bytes a second that one core reads or writes: a copy between rows in its second cache."""

    stages: tuple[Stage, ...]
    """In the order in which a pixel passes through them."""

    @property
    def floor_seconds(self) -> float:
        """What one core would need at its peak for everything."""
        return sum(stage.floor_seconds for stage in self.stages)

    @property
    def busy_seconds(self) -> float:
        """What the threads worked, together. The rest of ``threads * seconds`` they waited."""
        return sum(stage.seconds for stage in self.stages)


def _convolution(inputs: int, outputs: int, precision: str) -> float:
    """Count a 3x3 convolution's operations for each pixel, without what is added to it.

    In float32 by minimal filtering (native/minimal_filtering.hpp): 6 products for 4 pixels of each row of the
    window, and the transforms of its inputs, once for each row of the image, and outputs.
    """
    if precision == "bf16":
        return 2 * 9 * inputs * outputs
    return (2 * 3 * 6 * inputs * outputs + 22 * inputs + 16 * outputs) / 4


def work_of(config: NetworkConfig, precision: str, pixel_bytes: int) -> dict[str, Work]:
    """Count operations and bytes for each pixel of the input.

    Args:
        config: The network.
        precision: "fp32" or "bf16".
        pixel_bytes: Size of one number of the caller's pixels.

    Returns:
        The work by operation, in the order of ``Operation`` in native/kernels.hpp. A multiplication and an
        addition count one each, a fused one of both two.
    """
    full = 4
    wide = 2 if precision == "bf16" else full
    C, D, N, R = config.channels, config.inner_channels, config.state_size, config.dt_rank
    vimms, outputs = config.blocks * config.vimms_per_block, 3 * config.scale**2
    norms = vimms + 2
    # A convolution adds what it is added to: the block's input, or the shallow features.
    conv = _convolution(C, C, precision) + 2 * C
    # A block's last ViMM is read by a convolution alone, and stored as that reads it.
    mixed = config.blocks * ((config.vimms_per_block - 1) * full + wide) * C
    # For each state: delta * A, its exponential, delta u * B, and two fused operations.
    scan = D * (N * (1 + EXP + 1 + 2 + 2) + 3 + SILU + 1)
    return {
        "read": Work(2 * 3, 3 * pixel_bytes + full * 3),
        "shallow": Work(2 * 27 * C, full * (3 + C)),
        "norm": Work(norms * 8 * C, norms * full * C + full * C + (norms - 1) * wide * C),
        "in_proj": Work(vimms * 2 * C * 2 * D, vimms * (wide * C + full * 2 * D), wide=True),
        "conv1d": Work(
            vimms * D * (2 * config.conv_width + SILU), vimms * D * (2 * full + (wide if wide != full else 0))
        ),
        "x_proj": Work(vimms * 2 * D * (R + 2 * N), vimms * (wide * D + full * (R + 2 * N)), wide=True),
        "dt_proj": Work(vimms * D * (2 * R + SOFTPLUS), vimms * full * (R + D)),
        "scan": Work(vimms * scan, vimms * (full * (3 * D + 2 * N) + wide * D)),
        "out_proj": Work(vimms * 2 * D * C, vimms * wide * D + mixed, wide=True),
        "conv": Work(
            (config.blocks + 1) * conv,
            config.blocks * (wide + 2 * full) * C + (2 * wide + full) * C,
            wide=True,
        ),
        "reconstruct": Work(_convolution(C, outputs, precision), wide * C + full * outputs, wide=True),
        "write": Work(0, (full + pixel_bytes) * outputs),
    }


def make_profile(
    config: NetworkConfig,
    precision: str,
    threads: int,
    pixels: int,
    pixel_bytes: int,
    seconds: float,
    operation_seconds: list[float],
    peak: tuple[float, float],
    peak_wide_flops: float,
) -> Profile:
    """Set what was measured beside the floor.

    Args:
        config: The network.
        precision: Of the engine.
        threads: Of the stream.
        pixels: Of the input that the stream has finished.
        pixel_bytes: Size of one number of the caller's pixels.
        seconds: Of the stream's calls.
        operation_seconds: Of all threads, by operation.
        peak: Operations on float32 and bytes a second of one core.
        peak_wide_flops: Operations a second on what the precision names.
    """
    peak_flops, peak_bytes = peak
    stages = []
    works = work_of(config, precision, pixel_bytes)
    for (name, work), taken in zip(works.items(), operation_seconds, strict=True):
        flops = peak_wide_flops if work.wide else peak_flops
        floor = pixels * max(work.flop / flops, work.bytes / peak_bytes)
        stages.append(Stage(name, work, floor, taken))
    return Profile(
        precision, threads, pixels, seconds, peak_flops, peak_wide_flops, peak_bytes, tuple(stages)
    )
