"""Enlarging to another size than the network's own: in more than one pass, and by reductions after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images.resize_rows import resize_rows
from dvmsr.inference.ensemble import EnsembleUpscaler
from dvmsr.inference.sizes import OutputSize
from dvmsr.inference.upscaler import Upscaler, rows_at_once

if TYPE_CHECKING:
    from dvmsr.engine import Profile

Size = tuple[int, int]
"""Columns and rows of an image."""


def pass_sizes(source: Size, target: Size, scale: int) -> list[Size]:
    """Return what the network is given on the way from one size to another, pass by pass.

    As few passes as reach the target, each of which makes its input ``scale`` times larger. Before a further
    pass the image is reduced to what that needs: it takes a fraction of the time, and the result is closer to
    the truth (docs/sizes.md) than reducing the 16x of two passes at the end.

    Args:
        source: What there is.
        target: What is wanted.
        scale: By how much the network enlarges, from 2.

    Returns:
        The source's size first; an empty list where the target is not larger, so that no pass is needed.
    """
    count = 0
    while any(side * scale**count < wanted for side, wanted in zip(source, target, strict=True)):
        count += 1
    sizes = [source] if count else []
    for left in range(count - 1, 0, -1):
        size = tuple(
            min(scale * side, -(-wanted // scale**left))
            for side, wanted in zip(sizes[-1], target, strict=True)
        )
        sizes.append((size[0], size[1]))
    return sizes


def network_of_size(upscaler: Upscaler, source: Size, target: Size) -> Upscaler:
    """Return the network that fits an enlargement best, of the scales that it comes in.

    The least scale that reaches the target in one pass; where none does, the largest.

    Args:
        upscaler: The network, of any of its scales.
        source: Columns and rows of what there is.
        target: Columns and rows of what is wanted.
    """
    reaching = (
        scale
        for scale in upscaler.scales
        if all(scale * side >= wanted for side, wanted in zip(source, target, strict=True))
    )
    return upscaler.with_scale(min(reaching, default=max(upscaler.scales)))


class RowUpscaler(Protocol):
    """What enlarges rows; see ``Upscaler``."""

    @property
    def scale(self) -> int:
        """How many times larger the output is on each side."""
        ...

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        width: int,
        *,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Enlarge an image a few rows at a time."""
        ...


class SizedUpscaler:
    """Enlarges images of one size to another, with the face of an ``Upscaler``.

    Args:
        upscaler: The network.
        source: Columns and rows of the images.
        target: Columns and rows of what comes out, at most ``scale`` to some power times as many.
    """

    def __init__(self, upscaler: RowUpscaler, source: Size, target: Size) -> None:
        self.source = source
        self.target = target
        self.passes = pass_sizes(source, target, upscaler.scale)
        self._upscaler = upscaler

    @property
    def is_plain(self) -> bool:
        """Whether what the network makes in one pass is what is wanted."""
        scale = self._upscaler.scale
        exact = self.target == (scale * self.source[0], scale * self.source[1])
        return exact and len(self.passes) == 1 and not isinstance(self._upscaler, EnsembleUpscaler)

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        width: int,
        *,
        on_profile: Callable[[Profile], object] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Enlarge an image in memory that does not grow with its height.

        Between passes the pixels are float32, and rounded and clipped once, at the end.

        Args:
            blocks: The image from top to bottom as (rows, width, 3) arrays; see ``Upscaler.stream``.
            width: Its columns, those of ``source``.
            on_profile: Called with where the engine's time went, once for each pass.

        Yields:
            Blocks of (rows, target width, 3) of the same type.

        Raises:
            ArgumentError: As of ``Upscaler.stream``; or there are not as many rows as in ``source``.
        """
        if self.is_plain:
            yield from self._upscaler.stream(blocks, width, on_profile=on_profile)
            return
        iterator = iter(blocks)
        first = next(iterator, None)
        if first is None:
            return
        dtype = first.dtype
        rows = _floats(first, iterator)
        size = self.source
        scale = self._upscaler.scale
        for given in self.passes:
            rows = _resized(rows, size, given)
            rows = self._upscaler.stream(_cut(rows), given[0], on_profile=on_profile)
            size = (scale * given[0], scale * given[1])
        for block in _resized(rows, size, self.target):
            yield _pixels(block, dtype)


def upscale_to_size(
    upscaler: Upscaler,
    image: NDArray[Any],
    size: OutputSize,
    *,
    self_ensemble: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[Any]:
    """Enlarge an array to a size.

    Args:
        upscaler: The network.
        image: (H, W, 3) of uint8, uint16 or float32.
        size: What is wanted.
        self_ensemble: Whether to average over the flips and rotations.
        progress: Called with the number of finished pixels of the image, and of all.

    Returns:
        (rows, columns, 3) of the same type.

    Raises:
        ArgumentError: A side would become more than 16 times as long; or of a self-ensemble, longer than the
            network makes it in one pass.
    """
    height, width, _ = image.shape
    target = size.of(width, height)

    def tell(part: float) -> None:
        if progress is not None:
            progress(round(part * width * height), width * height)

    sized = sized_upscaler(upscaler, (width, height), target, self_ensemble=self_ensemble, on_progress=tell)
    output = np.empty((target[1], target[0], 3), image.dtype)
    rows = rows_at_once(width)
    top = 0
    for block in sized.stream((image[y : y + rows] for y in range(0, height, rows)), width):
        output[top : top + len(block)] = block
        top += len(block)
        if not self_ensemble:
            tell(top / len(output))
    return output


def sized_upscaler(
    upscaler: Upscaler,
    source: Size,
    target: Size,
    *,
    self_ensemble: bool,
    on_progress: Callable[[float], object],
) -> SizedUpscaler:
    """Make what enlarges images of one size to another.

    Args:
        upscaler: The network, of any of its scales; the one that fits best is taken.
        source: Columns and rows of the images.
        target: Columns and rows of what comes out.
        self_ensemble: Whether to average over the flips and rotations.
        on_progress: Called with the part that is done of a self-ensemble, whose rows come at its end.

    Raises:
        ArgumentError: A self-ensemble would take more than one pass.
    """
    upscaler = network_of_size(upscaler, source, target)
    if not self_ensemble:
        return SizedUpscaler(upscaler, source, target)
    sized = SizedUpscaler(EnsembleUpscaler(upscaler, on_progress), source, target)
    if len(sized.passes) > 1:
        raise ArgumentError(
            f"a self-ensemble enlarges up to {upscaler.scale} times, got {target[0]}x{target[1]} of "
            f"{source[0]}x{source[1]} pixels; ask for less, or do without it"
        )
    return sized


def _resized(rows: Iterator[NDArray[Any]], size: Size, target: Size) -> Iterator[NDArray[Any]]:
    return rows if size == target else resize_rows(rows, (size[1], size[0]), (target[1], target[0]))


def _cut(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Cut blocks that a pass before has made many rows high: the next makes each of them higher again."""
    for block in blocks:
        rows = rows_at_once(block.shape[1])
        yield from (block[top : top + rows] for top in range(0, len(block), rows))


def _floats(first: NDArray[Any], more: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float32]]:
    """Integers over their full range to [0, 1]."""
    most = np.float32(np.iinfo(first.dtype).max if first.dtype.kind == "u" else 1)
    yield first.astype(np.float32) / most
    for block in more:
        yield block.astype(np.float32) / most


def _pixels(block: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Take back ``_floats``: rounded and clipped for integers."""
    if dtype.kind == "f":
        return block
    most = np.iinfo(dtype).max
    pixels: NDArray[Any] = np.clip(np.rint(block * np.float32(most)), 0, most).astype(dtype)
    return pixels
