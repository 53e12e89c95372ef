"""Enlarging an image file's rows together with their transparency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images import ImageReader, imresize, neighbourhoods, spread_colours

if TYPE_CHECKING:
    from dvmsr.engine import Profile
    from dvmsr.inference.sized import SizedUpscaler

ALPHA_METHODS = ("network", "bicubic")
"""How transparency can be enlarged."""


def enlarge_rows(
    upscaler: SizedUpscaler,
    reader: ImageReader,
    rows: int,
    *,
    alpha: str = "network",
    on_profile: Callable[[Profile], object] | None = None,
) -> Iterator[NDArray[Any]]:
    """Enlarge an image file a few rows at a time.

    Transparency goes through the network as a grey image of its own, row by row beside the colours, which
    takes as long again; where no pixel is transparent it is not computed. Where it is the same all around,
    such as wholly transparent or opaque, it stays exactly so. Under transparent pixels the network sees the
    colours of visible ones: see ``dvmsr.images.spread_colours``.

    Args:
        upscaler: The network, and the size that it shall make.
        reader: The image.
        rows: Rows to read at a time, from 1.
        alpha: "network", or "bicubic" for interpolation, which takes no time to speak of and blurs edges.
        on_profile: Called at the end with where the engine's time went for the colours.

    Yields:
        Blocks of (n, target width, 3) of the file's type, with alpha (n, target width, 4); of an animation
        the rows of one frame after the other.

    Raises:
        ArgumentError: ``alpha`` is another word.
        ImageReadError: The file is damaged or cut short.
    """
    if alpha not in ALPHA_METHODS:
        raise ArgumentError(f'alpha must be "network" or "bicubic", got {alpha!r}')
    samples = reader.samples(rows)
    for _ in range(reader.frames):
        yield from _enlarge_frame(upscaler, reader, _take(samples, reader.height), rows, alpha, on_profile)


def _enlarge_frame(
    upscaler: SizedUpscaler,
    reader: ImageReader,
    samples: Iterator[NDArray[Any]],
    rows: int,
    alpha: str,
    on_profile: Callable[[Profile], object] | None,
) -> Iterator[NDArray[Any]]:
    width = reader.width
    if not reader.has_alpha:
        yield from upscaler.stream(map(_rgb, samples), width, on_profile=on_profile)
        return
    if reader.opaque:
        opaque = (_rgb(block[..., :-1]) for block in samples)
        for block in upscaler.stream(opaque, width, on_profile=on_profile):
            full = np.full((*block.shape[:2], 1), np.iinfo(block.dtype).max, block.dtype)
            yield np.concatenate([block, full], axis=2)
        return
    samples, again, near = tee(spread_colours(samples), 3)
    colours = upscaler.stream((_rgb(block[..., :-1]) for block in samples), width, on_profile=on_profile)
    if alpha == "network":
        grey = upscaler.stream((_rgb(block[..., -1:]) for block in again), width)
        ranges = neighbourhoods((block[..., -1:] for block in near), upscaler.target, (width, reader.height))
        both = _side_by_side((_mean(block) for block in grey), ranges)
        yield from _side_by_side(colours, map(_exact_where_flat, both))
        return
    del near
    if reader.frames == 1:
        del again
        yield from _side_by_side(colours, reader.bicubic_alpha(*upscaler.target, rows))
    else:
        # A frame is held as a whole anyway, where it is decoded and where it is encoded.
        whole = np.concatenate([block[..., -1:] for block in again])
        yield from _side_by_side(colours, [imresize(whole, output_size=upscaler.target[::-1])])


def _take(blocks: Iterator[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    """Take the blocks of one frame."""
    rows = 0
    while rows < height:
        block = next(blocks)
        rows += len(block)
        yield block


def _rgb(channels: NDArray[Any]) -> NDArray[Any]:
    """(n, W, 1 or 3) to contiguous (n, W, 3)."""
    return np.ascontiguousarray(np.broadcast_to(channels, (*channels.shape[:2], 3)))


def _mean(block: NDArray[Any]) -> NDArray[Any]:
    """Rounded mean over the channels: (n, W, 3) to (n, W, 1)."""
    total = block.sum(axis=2, dtype=np.uint32, keepdims=True)
    mean: NDArray[Any] = ((total + 1) // 3).astype(block.dtype)
    return mean


def _exact_where_flat(block: NDArray[Any]) -> NDArray[Any]:
    """Of (n, W, 3), which are an enlarged channel and the range of its neighbourhood: (n, W, 1)."""
    enlarged, least, most = block[..., :1], block[..., 1:2], block[..., 2:]
    # Only there: held within its range everywhere, a thin line would lose its peak (24.5 dB become 20.8).
    return np.where(least == most, least, enlarged)


def _side_by_side(colours: Iterable[NDArray[Any]], alpha: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Join the channels of two streams of rows, whose blocks may be cut at different rows."""
    waiting: NDArray[Any] | None = None
    supply = iter(alpha)
    for block in colours:
        while waiting is None or len(waiting) < len(block):
            more = next(supply)
            waiting = more if waiting is None else np.concatenate([waiting, more])
        yield np.concatenate([block, waiting[: len(block)]], axis=2)
        waiting = waiting[len(block) :]
