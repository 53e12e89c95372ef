"""The network by bands of rows, from top to bottom, in memory that does not grow with the height.

No tiles and no overlap: the bands' outputs, one below the other, are the whole image's up to the rounding
of floats. The scan and its conv1d go on from band to band with the state that they left, and each 3x3
convolution keeps the rows that it still needs, so that its output runs one row behind its input. The
residuals wait for those rows. The network's output runs ``lag(config)`` rows behind, until the image ends.

Features are (1, rows, width, channels) here, with as many rows as a stage of the network has by now.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvmsr.config import NetworkConfig
from dvmsr.kernels import VimmState
from dvmsr.model.network import DVMSR, shuffle_pixels
from dvmsr.model.rssb import RSSB
from dvmsr.model.vimm import ViMM


class RSSBState(NamedTuple):
    """What a band leaves in a residual state-space block."""

    vimms: tuple[VimmState, ...]
    """Of each ViMM."""

    conv: Tensor
    """Rows that the convolution still needs."""

    residual: Tensor
    """Rows of the block's input that wait for the convolution."""


class BandState(NamedTuple):
    """What a band leaves for the band below it."""

    shallow: Tensor
    """Rows that the first convolution still needs."""

    long_skip: Tensor
    """Rows of the shallow features that wait for the deep ones."""

    blocks: tuple[RSSBState, ...]
    """Of each residual state-space block."""

    deep: Tensor
    """Rows that the convolution after the blocks still needs."""

    reconstruct: Tensor
    """Rows that the last convolution still needs."""


GOES_ON = range(0)
"""The image does not end with this band: see ``advance``."""


def lag(config: NetworkConfig) -> int:
    """Return how many rows the output runs late: one for each convolution on the longest way."""
    return config.blocks + 3


def all_end(config: NetworkConfig) -> range:
    """Return what tells ``advance`` that the image ends with this band."""
    return range(lag(config))


def start(network: DVMSR, width: int) -> BandState:
    """Return the state above an image's first row.

    Args:
        network: The network.
        width: Pixels in a row.
    """
    config, weight = network.config, network.shallow.weight

    def rows(count: int, channels: int) -> Tensor:
        return weight.new_zeros(1, count, width, channels)

    features = config.channels
    vimm = VimmState(
        tokens=weight.new_zeros(1, config.conv_width - 1, config.inner_channels),
        scan=weight.new_zeros(1, config.inner_channels, config.state_size),
    )
    # Each convolution begins with its padding, a row of zeros.
    block = RSSBState((vimm,) * config.vimms_per_block, conv=rows(1, features), residual=rows(0, features))
    return BandState(
        shallow=rows(1, 3),
        long_skip=rows(0, features),
        blocks=(block,) * config.blocks,
        deep=rows(1, features),
        reconstruct=rows(1, features),
    )


def advance(network: DVMSR, images: Tensor, state: BandState, ends: range) -> tuple[Tensor, BandState]:
    """Enlarge the next band of an image. Nothing that is given is changed.

    Args:
        network: The network.
        images: The band in RGB in [0, 1], (1, 3, rows, width); rows from 0.
        state: What the band above left, or ``start``.
        ends: The 3x3 convolutions for which the image ends with these rows, numbered from the first: none,
            ``GOES_ON``, or ``all_end``. Or, below the image and with no rows, one convolution after the
            other, each of which lets one row go on: that takes no more memory than a band of one row.

    Returns:
        The rows that this band finishes, (1, 3, scale * finished, scale * width), not clipped, and what it
        leaves.
    """
    centred = (images - network.rgb_mean).permute(0, 2, 3, 1)
    shallow, shallow_rows = _convolve(network.shallow, centred, state.shallow, 0 in ends)
    features = network.token_norm(shallow)
    blocks = []
    for number, (block, before) in enumerate(zip(network.blocks, state.blocks, strict=True), start=1):
        assert isinstance(block, RSSB)
        features, after = _advance_block(block, features, before, number in ends)
        blocks.append(after)
    number = len(blocks) + 1
    features, deep_rows = _convolve(network.deep, network.deep_norm(features), state.deep, number in ends)
    features, long_skip = _add_waiting(features, shallow, state.long_skip)
    # As in the whole network, the convolution that makes pixels stays in float32.
    with torch.autocast(images.device.type, enabled=False):
        features = features.to(network.reconstruct.weight.dtype)
        features, last_rows = _convolve(network.reconstruct, features, state.reconstruct, number + 1 in ends)
        out = shuffle_pixels(features, network.config.scale) + network.rgb_mean
    return out, BandState(shallow_rows, long_skip, tuple(blocks), deep_rows, last_rows)


def map_state(function: Callable[..., Any], state: Any, *others: Any) -> Any:
    """Apply a function to each tensor of a state, with those at the same place of other states.

    Returns:
        The results, in tuples like the state's.
    """
    results = [
        function(*parts) if isinstance(parts[0], Tensor) else map_state(function, *parts)
        for parts in zip(state, *others, strict=True)
    ]
    return type(state)(*results) if hasattr(state, "_fields") else tuple(results)


def _advance_block(block: RSSB, x: Tensor, state: RSSBState, ends: bool) -> tuple[Tensor, RSSBState]:
    """Apply a residual state-space block to its next rows."""
    tokens, vimms = x.flatten(1, 2), list(state.vimms)
    # Above and below the image no rows come so far.
    if tokens.shape[1]:
        for i, vimm in enumerate(block.vimms):
            assert isinstance(vimm, ViMM)
            tokens, vimms[i] = vimm.resume(tokens, vimms[i])
    image, device = tokens.view_as(x), x.device.type
    # What this convolution makes goes beyond 65,504, where float16 ends. Float32 then.
    narrow = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
    with torch.autocast(device, enabled=False) if narrow else nullcontext():
        out, rows = _convolve(block.conv, image.float() if narrow else image, state.conv, ends)
    out, residual = _add_waiting(out, x, state.residual)
    return out, RSSBState(tuple(vimms), rows, residual)


def _convolve(conv: nn.Conv2d, x: Tensor, above: Tensor, ends: bool) -> tuple[Tensor, Tensor]:
    """Apply a 3x3 convolution to the rows that have their neighbours.

    Args:
        conv: The convolution.
        x: Its next rows of input.
        above: The rows before them that it still needs, one or two.
        ends: Whether the image ends with them.

    Returns:
        The rows of output that are finished, and the rows of input that are still needed.
    """
    below = [torch.zeros_like(above[:, :1])] if ends else []
    rows = torch.cat([part.to(x.dtype) for part in (above, x, *below)], dim=1)
    if rows.shape[1] < 3:
        return x.new_empty(*x.shape[:1], 0, x.shape[2], conv.out_channels), rows
    out = F.conv2d(rows.permute(0, 3, 1, 2), conv.weight, conv.bias, padding=(0, 1))
    # A copy: a view would keep all rows in memory.
    return out.permute(0, 2, 3, 1), rows[:, rows.shape[1] - 2 :].clone()


def _add_waiting(out: Tensor, x: Tensor, waiting: Tensor) -> tuple[Tensor, Tensor]:
    """Add the rows of a residual to the rows of output that are finished; return the sum and the rest."""
    rows = torch.cat([waiting.to(x.dtype), x], dim=1)
    finished = out.shape[1]
    return rows[:, :finished] + out, rows[:, finished:].clone()
