"""Enlarging a part of an image file, to see in a second or two what the whole will look like."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.images import ImageReader, open_image, write_image
from dvmsr.inference.choosing import network_for
from dvmsr.inference.files import FileOptions, target_size
from dvmsr.inference.sized import sized_upscaler
from dvmsr.inference.transparency import enlarge_rows
from dvmsr.inference.upscaler import Upscaler, rows_at_once

MARGIN = 16
"""Pixels around the part that the network sees as well: without them its edges would come out otherwise than
in the whole image, where the scan and the convolutions know what lies beside."""


@dataclass(frozen=True)
class Box:
    """A part of an image."""

    left: int
    """First column, from 0."""

    top: int
    """First row, from 0."""

    width: int
    """Columns, from 1."""

    height: int
    """Rows, from 1."""

    def check(self, width: int, height: int) -> None:
        """Check that it lies within an image of ``width`` columns and ``height`` rows.

        Raises:
            ArgumentError: It does not.
        """
        inside = self.left >= 0 and self.top >= 0 and self.width >= 1 and self.height >= 1
        if not inside or self.left + self.width > width or self.top + self.height > height:
            raise ArgumentError(
                f"expected a part of {width}x{height} pixels, got {self.width}x{self.height} pixels "
                f"at column {self.left}, row {self.top}"
            )

    def grown(self, margin: int, width: int, height: int) -> Box:
        """Return the part with a margin, as far as the image of ``width`` and ``height`` reaches."""
        left, top = max(0, self.left - margin), max(0, self.top - margin)
        right = min(width, self.left + self.width + margin)
        bottom = min(height, self.top + self.height + margin)
        return Box(left, top, right - left, bottom - top)


def enlarge_part(
    upscaler: Upscaler,
    source: Path,
    box: Box,
    options: FileOptions,
    before: Path,
    after: Path,
) -> tuple[int, int]:
    """Enlarge a part of an image file, close to what it will be in the whole.

    Args:
        upscaler: The network.
        source: The image.
        box: The part, in pixels of the upright image.
        options: How the whole would be enlarged; a size is that of the whole.
        before: The PNG file to write with the part as it is; one that exists is replaced.
        after: The PNG file to write with the part enlarged; one that exists is replaced.

    Returns:
        Columns and rows of ``after``.

    Raises:
        ArgumentError: The part is not within the image, or the size is not to be had.
        ImageReadError: The source is missing, damaged or no image.
        ImageWriteError: A file cannot be written.
    """
    reader = open_image(source, max_pixels=options.max_pixels)
    # By the whole, as it would be for the whole.
    upscaler, _ = network_for(upscaler, reader)
    box.check(reader.width, reader.height)
    whole = target_size(options, reader.width, reader.height, upscaler.scale)
    across, down = whole[0] / reader.width, whole[1] / reader.height
    around = box.grown(MARGIN, reader.width, reader.height)
    inner = Box(box.left - around.left, box.top - around.top, box.width, box.height)
    with tempfile.TemporaryDirectory(dir=after.parent) as folder:
        context_file = Path(folder) / "context.png"
        _write(context_file, _cut(_samples(reader), around), reader, around.width, around.height)
        context = open_image(context_file, max_pixels=options.max_pixels)
        _write(before, _cut(_samples(context), inner), context, box.width, box.height)
        size = (max(1, round(around.width * across)), max(1, round(around.height * down)))
        sized = sized_upscaler(
            upscaler,
            (context.width, context.height),
            size,
            self_ensemble=False,
            on_progress=lambda part: None,  # noqa: ARG005 - a part is small
        )
        rows = enlarge_rows(sized, context, rows_at_once(context.width), alpha=options.alpha)
        width = min(max(1, round(box.width * across)), size[0])
        height = min(max(1, round(box.height * down)), size[1])
        left = min(round(inner.left * across), size[0] - width)
        top = min(round(inner.top * down), size[1] - height)
        _write(after, _cut(rows, Box(left, top, width, height)), context, width, height)
    return width, height


def _samples(reader: ImageReader) -> Iterator[NDArray[Any]]:
    """Rows as ``write_image`` takes them: three colours of a grey image as well, then alpha."""
    for block in reader.samples(rows_at_once(reader.width)):
        if reader.grey:
            block = np.concatenate([np.repeat(block[..., :1], 3, axis=2), block[..., 1:]], axis=2)
        yield block


def _cut(blocks: Iterable[NDArray[Any]], box: Box) -> Iterator[NDArray[Any]]:
    """Take the rows and columns of a part out of an image, and ask for none below it."""
    first = 0
    for block in blocks:
        rows = block[max(0, box.top - first) : max(0, box.top + box.height - first)]
        if len(rows):
            yield np.ascontiguousarray(rows[:, box.left : box.left + box.width])
        first += len(block)
        if first >= box.top + box.height:
            return


def _write(path: Path, blocks: Iterable[NDArray[Any]], source: ImageReader, width: int, height: int) -> None:
    write_image(path, blocks, source=source, width=width, height=height, overwrite=True)
