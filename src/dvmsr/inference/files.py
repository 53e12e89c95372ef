"""Enlarging one image file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dvmsr.errors import ArgumentError, ImageWriteError
from dvmsr.images import (
    Encoding,
    ImageReader,
    Page,
    check_comparison,
    check_format,
    check_pictures,
    open_image,
    open_pictures,
    write_comparison,
    write_image,
    write_pages,
)
from dvmsr.images.limits import MAX_PIXELS, check_memory
from dvmsr.inference.choosing import ModelChoice, network_for
from dvmsr.inference.memory import upscaling_bytes
from dvmsr.inference.sized import Size, sized_upscaler
from dvmsr.inference.sizes import OutputSize
from dvmsr.inference.transparency import enlarge_rows
from dvmsr.inference.upscaler import Upscaler, rows_at_once

if TYPE_CHECKING:
    from dvmsr.engine import Profile


PAGES = ("first", "all")
"""Which pages or frames of a file can be asked for."""


@dataclass(frozen=True)
class FileOptions:
    """How a file is enlarged and written."""

    size: OutputSize | None = None
    """How large it becomes; None for the network's own scale."""

    encoding: Encoding = field(default_factory=Encoding)
    """How it is compressed."""

    alpha: str = "network"
    """How transparency is enlarged: "network" or "bicubic"; see ``enlarge_rows``."""

    pages: str = "first"
    """Which pages or frames of a file are enlarged: one of ``PAGES``."""

    self_ensemble: bool = False
    """Whether to average over the flips and rotations: eight times the work, the whole image in memory."""

    max_pixels: int = MAX_PIXELS
    """Most pixels of a source."""

    compare: bool = False
    """Whether a picture of before and after is written beside the target; see ``write_comparison``."""

    overwrite: bool = False
    """Whether an existing target is replaced. The source itself never is."""


@dataclass(frozen=True)
class UpscaledFile:
    """An image file that has been enlarged."""

    source: Path
    """The file that was read."""

    target: Path
    """The file that was written."""

    width: int
    """Columns of the source, upright."""

    height: int
    """Rows of the source, upright."""

    target_width: int
    """Columns of the target."""

    target_height: int
    """Rows of the target."""

    pixels: int
    """Pixels of the source, of all its pages or frames that were enlarged."""

    pictures: int
    """How many pages or frames those are."""

    seconds: float
    """Wall time from opening the source to having the target under its name."""

    notes: tuple[str, ...] = ()
    """What was lost or chosen, one line each; see ``dvmsr.images.ImageReader.notes``."""

    comparison: Path | None = None
    """The picture of before and after, where that was asked for."""

    choice: ModelChoice | None = None
    """The network that was chosen for it, where the upscaler's model is "auto"."""


DEFAULT_OPTIONS = FileOptions()


def target_size(options: FileOptions, width: int, height: int, scale: int) -> tuple[int, int]:
    """Return the columns and rows that an image file gets.

    Args:
        options: How it is enlarged.
        width: Columns of the source.
        height: Rows of the source.
        scale: By how much the network enlarges.

    Raises:
        ArgumentError: A side would become more than 16 times as long.
    """
    return (scale * width, scale * height) if options.size is None else options.size.of(width, height)


def upscale_file(
    upscaler: Upscaler,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: FileOptions = DEFAULT_OPTIONS,
    *,
    progress: Callable[[int, int], object] | None = None,
    on_profile: Callable[[Profile], object] | None = None,
) -> UpscaledFile:
    """Enlarge an image file into another, a few rows at a time.

    What is carried over from the source, and how formats differ, is described at
    :func:`dvmsr.images.write_image`.

    Args:
        upscaler: The network; of the model "auto" it is chosen by what the image lost.
        source: The file to read.
        target: The file to write, in the format that its suffix names. Its folder is created if missing.
        options: How large it becomes, and how it is written.
        progress: Called with the number of finished pixels of the source, and of all.
        on_profile: Called at the end with where the engine's time went; see ``Upscaler.stream``.

    Returns:
        What was done.

    Raises:
        ImageReadError: The source is missing, empty, damaged or no image.
        ImageWriteError: The target exists or cannot be written, or the disk is full.
        ArgumentError: A profile is asked for, and the device has none; or ``alpha`` is another word.
    """
    start = time.perf_counter()
    source, target = Path(source), Path(target)
    readers = open_readers(source, options)
    reader = readers[0]
    upscaler, choice = network_for(upscaler, reader)
    sizes = [target_size(options, each.width, each.height, upscaler.scale) for each in readers]
    width, height = sizes[0]
    # Before a folder is made for it.
    for size in sizes:
        check_format(target, *size, options.encoding)
    check_pictures(target, readers)
    if options.compare:
        check_comparison(source, target, overwrite=options.overwrite)
    for each, size in zip(readers, sizes, strict=True):
        _check_memory(upscaler, each, target, size, options)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageWriteError(
            f"{target}: the folder {target.parent} cannot be created: {error.strerror}"
        ) from error
    pixels = [each.width * each.height * each.frames for each in readers]

    def enlarged(number: int) -> Iterator[NDArray[Any]]:
        def tell(part: float) -> None:
            if progress is not None:
                progress(sum(pixels[:number]) + round(part * pixels[number]), sum(pixels))

        page, size = readers[number], sizes[number]
        sized = sized_upscaler(
            upscaler,
            (page.width, page.height),
            size,
            self_ensemble=options.self_ensemble,
            on_progress=tell,
        )
        blocks = enlarge_rows(
            sized, page, rows_at_once(page.width), alpha=options.alpha, on_profile=on_profile
        )
        rows = 0
        for block in blocks:
            yield block
            rows += len(block)
            if not options.self_ensemble:
                tell(rows / (size[1] * page.frames))

    pages = [
        Page(each, enlarged(i), *size) for i, (each, size) in enumerate(zip(readers, sizes, strict=True))
    ]
    if len(pages) == 1:
        write_image(
            target,
            pages[0].blocks,
            source=reader,
            width=width,
            height=height,
            encoding=options.encoding,
            overwrite=options.overwrite,
        )
    else:
        write_pages(target, pages, encoding=options.encoding, overwrite=options.overwrite)
    comparison = write_comparison(source, target, overwrite=options.overwrite) if options.compare else None
    seconds = time.perf_counter() - start
    # Pages mostly have the same to say.
    notes = tuple(dict.fromkeys(note for each in readers for note in each.notes))
    return UpscaledFile(
        source=source,
        target=target,
        width=reader.width,
        height=reader.height,
        target_width=width,
        target_height=height,
        pixels=sum(pixels),
        pictures=sum(each.frames for each in readers),
        seconds=seconds,
        notes=notes,
        comparison=comparison,
        choice=choice,
    )


def _check_memory(
    upscaler: Upscaler, reader: ImageReader, target: Path, size: Size, options: FileOptions
) -> None:
    """Refuse before the work what will not fit, rather than be killed on the way."""
    needed = upscaling_bytes(
        upscaler,
        (reader.width, reader.height),
        target,
        size,
        options,
        decoding_bytes=reader.decoding_bytes,
        pixel_bytes=reader.pixel_bytes,
        has_alpha=reader.has_alpha,
    )
    check_memory(reader.path, needed)


def open_readers(source: Path, options: FileOptions) -> list[ImageReader]:
    """Open the pictures of a file that are to be enlarged.

    Args:
        source: The file.
        options: Which, and how large they may be.

    Raises:
        ArgumentError: ``options.pages`` is another word.
        ImageReadError: The file is missing, empty, damaged or no image.
    """
    if options.pages == "first":
        return [open_image(source, max_pixels=options.max_pixels)]
    if options.pages == "all":
        return open_pictures(source, max_pixels=options.max_pixels)
    raise ArgumentError(f'pages must be "first" or "all", got {options.pages!r}')
