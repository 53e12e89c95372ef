"""How much memory it takes to enlarge an image file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dvmsr.config import NetworkConfig
from dvmsr.images import encoding_bytes
from dvmsr.inference.ensemble import ensemble_bytes
from dvmsr.inference.sized import Size, pass_sizes
from dvmsr.inference.upscaler import Upscaler, rows_at_once

if TYPE_CHECKING:
    from dvmsr.inference.files import FileOptions

# Rows that libvips keeps on their way into the encoder.
_ENCODER_ROWS = 600
_FLOAT_BYTES = 4


def engine_bytes(config: NetworkConfig, width: int, threads: int) -> int:
    """Return how much memory a stream of the native engine takes: its rings of rows.

    They are those of native/stream.cpp.

    Args:
        config: The network.
        width: Columns of its input.
        threads: How many threads work.
    """
    vimms, blocks = config.vimms_per_block, config.blocks
    waiting = blocks + 5 + min(threads, blocks * (vimms + 1))
    rows = 2 * waiting + blocks * (3 * (vimms - 1) + 5) + (blocks - 1) * (5 + vimms) + 11
    return _FLOAT_BYTES * -(-config.channels // 16) * 16 * rows * (width + 2)


def upscaling_bytes(
    upscaler: Upscaler,
    source: Size,
    path: Path,
    target: Size,
    options: FileOptions,
    *,
    decoding_bytes: int,
    pixel_bytes: int,
    has_alpha: bool,
) -> int:
    """Return about how much memory a picture takes beside what every process does.

    On another device than the CPU, what the network takes there is not counted.

    Args:
        upscaler: The network.
        source: Columns and rows of the picture.
        path: The file that is written.
        target: Columns and rows of what becomes of it.
        options: How it is enlarged.
        decoding_bytes: What decoding takes.
        pixel_bytes: Bytes of a pixel before it is compressed.
        has_alpha: Whether it has transparency.
    """
    scale, (width, height) = upscaler.scale, target
    passes = pass_sizes(source, target, scale)
    streams = 2 if has_alpha and options.alpha == "network" else 1
    needed = decoding_bytes + width * min(height, _ENCODER_ROWS) * pixel_bytes
    needed += encoding_bytes(path, width, height, alpha=has_alpha)
    for columns, rows in passes:
        # The block that is made of a block, as it is and on its way into the encoder.
        pixels = min(rows, rows_at_once(columns)) * columns * scale**2
        needed += 3 * streams * pixels * 3 * (_FLOAT_BYTES if len(passes) > 1 else 2)
        if upscaler.is_native:
            needed += streams * engine_bytes(upscaler.config, columns, upscaler.threads)
    if options.self_ensemble:
        needed += ensemble_bytes(*source, scale)
    return needed
