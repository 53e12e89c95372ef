"""Enlarging an image file's rows together with their transparency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images import ImageReader, imresize, neighbourhoods, spread_colours

if TYPE_CHECKING:
    from dvmsr.engine import Profile
    from dvmsr.inference.sized import Size, SizedUpscaler

    _Interpolation = Callable[[SizedUpscaler, Iterator[NDArray[Any]]], Iterator[NDArray[Any]]]

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
        frame = _take(samples, reader.height)
        if not reader.has_alpha:
            yield from upscaler.stream(map(_rgb, frame), reader.width, on_profile=on_profile)
        elif reader.opaque:
            yield from _enlarge_opaque(upscaler, frame, reader.width, on_profile)
        else:
            bicubic = None
            if alpha == "bicubic":
                # A frame is held as a whole anyway, where it is decoded and where it is encoded.
                bicubic = _interpolated if reader.frames > 1 else partial(_read_again, reader, rows)
            size = (reader.width, reader.height)
            yield from _enlarge_transparent(upscaler, frame, size, bicubic, on_profile)


def enlarge_pixels(
    upscaler: SizedUpscaler, pixels: NDArray[Any], rows: int, *, alpha: str = "network"
) -> Iterator[NDArray[Any]]:
    """Enlarge an image in memory with its transparency, as ``enlarge_rows`` does a file.

    Args:
        upscaler: The network, and the size that it shall make.
        pixels: (H, W, 3), or with alpha (H, W, 4), of unsigned integers.
        rows: Rows to take at a time, from 1.
        alpha: As for ``enlarge_rows``.

    Yields:
        Blocks of (n, target width, channels) of the same type.

    Raises:
        ArgumentError: ``alpha`` is another word.
    """
    if alpha not in ALPHA_METHODS:
        raise ArgumentError(f'alpha must be "network" or "bicubic", got {alpha!r}')
    width = pixels.shape[1]
    samples = (pixels[top : top + rows] for top in range(0, len(pixels), rows))
    if pixels.shape[2] == 3:
        yield from upscaler.stream(map(_rgb, samples), width)
    elif pixels[..., 3].min() == np.iinfo(pixels.dtype).max:
        yield from _enlarge_opaque(upscaler, samples, width, None)
    else:
        bicubic = _interpolated if alpha == "bicubic" else None
        yield from _enlarge_transparent(upscaler, samples, (width, len(pixels)), bicubic, None)


def _enlarge_opaque(
    upscaler: SizedUpscaler,
    samples: Iterator[NDArray[Any]],
    width: int,
    on_profile: Callable[[Profile], object] | None,
) -> Iterator[NDArray[Any]]:
    """Enlarge an image with alpha of which every pixel is opaque."""
    opaque = (_rgb(block[..., :-1]) for block in samples)
    for block in upscaler.stream(opaque, width, on_profile=on_profile):
        full = np.full((*block.shape[:2], 1), np.iinfo(block.dtype).max, block.dtype)
        yield np.concatenate([block, full], axis=2)


def _enlarge_transparent(
    upscaler: SizedUpscaler,
    samples: Iterator[NDArray[Any]],
    source: Size,
    bicubic: _Interpolation | None,
    on_profile: Callable[[Profile], object] | None,
) -> Iterator[NDArray[Any]]:
    """Enlarge an image with alpha, which ``bicubic`` interpolates; None sends it through the network."""
    width = source[0]
    samples, again, near = tee(spread_colours(samples), 3)
    colours = upscaler.stream((_rgb(block[..., :-1]) for block in samples), width, on_profile=on_profile)
    if bicubic is None:
        grey = upscaler.stream((_rgb(block[..., -1:]) for block in again), width)
        ranges = neighbourhoods((block[..., -1:] for block in near), upscaler.target, source)
        both = _side_by_side((_mean(block) for block in grey), ranges)
        yield from _side_by_side(colours, map(_exact_where_flat, both))
        return
    interpolated = bicubic(upscaler, again)
    # Or all rows would be kept for them.
    del again, near
    yield from _side_by_side(colours, interpolated)


def _interpolated(upscaler: SizedUpscaler, samples: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    whole = np.concatenate([block[..., -1:] for block in samples])
    yield imresize(whole, output_size=upscaler.target[::-1])


def _read_again(
    reader: ImageReader,
    rows: int,
    upscaler: SizedUpscaler,
    samples: Iterator[NDArray[Any]],  # noqa: ARG001 - as of _interpolated
) -> Iterator[NDArray[Any]]:
    return reader.bicubic_alpha(*upscaler.target, rows)


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
