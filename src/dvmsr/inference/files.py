"""Enlarging image files: one, several, or a folder of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dvmsr.errors import ArgumentError, ImageWriteError
from dvmsr.images import WRITABLE_SUFFIXES, check_format, open_image, write_image
from dvmsr.images.folders import list_images
from dvmsr.inference.transparency import enlarge_rows
from dvmsr.inference.upscaler import Upscaler, rows_at_once

if TYPE_CHECKING:
    from dvmsr.engine import Profile


@dataclass(frozen=True)
class FileTask:
    """An image file to enlarge."""

    source: Path
    """The file to read."""

    target: Path
    """The file to write."""


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

    scale: int
    """Enlargement."""

    seconds: float
    """Wall time from opening the source to having the target under its name."""

    notes: tuple[str, ...] = ()
    """What was lost or chosen, one line each; see ``dvmsr.images.ImageReader.notes``."""


def upscale_file(
    upscaler: Upscaler,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    alpha: str = "network",
    progress: Callable[[int, int], object] | None = None,
    on_profile: Callable[[Profile], object] | None = None,
) -> UpscaledFile:
    """Enlarge an image file into another, a few rows at a time.

    What is carried over from the source, and how formats differ, is described at
    :func:`dvmsr.images.write_image`.

    Args:
        upscaler: The network.
        source: The file to read.
        target: The file to write, in the format that its suffix names. Its folder is created if missing.
        overwrite: Whether an existing target is replaced. The source itself never is.
        alpha: How transparency is enlarged: "network" or "bicubic"; see
            :func:`dvmsr.inference.transparency.enlarge_rows`.
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
    reader = open_image(source)
    # Before a folder is made for it.
    check_format(target, reader, upscaler.scale)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageWriteError(
            f"{target}: the folder {target.parent} cannot be created: {error.strerror}"
        ) from error
    blocks = enlarge_rows(upscaler, reader, rows_at_once(reader.width), alpha=alpha, on_profile=on_profile)

    def reported() -> Iterator[NDArray[Any]]:
        rows = 0
        for block in blocks:
            yield block
            rows += len(block) // upscaler.scale
            if progress is not None:
                progress(rows * reader.width, reader.height * reader.width)

    write_image(target, reported(), source=reader, scale=upscaler.scale, overwrite=overwrite)
    seconds = time.perf_counter() - start
    return UpscaledFile(
        source, target, reader.width, reader.height, upscaler.scale, seconds, tuple(reader.notes)
    )


def plan_files(
    inputs: Sequence[Path], output: Path | None = None, *, scale: int, suffix: str | None = None
) -> list[FileTask]:
    """Decide which files to enlarge, and into which.

    An image NAME.jpg becomes NAME_x4.jpg: beside it; for a folder PHOTOS of images, in a folder PHOTOS_x4
    beside that; in ``output`` if that is a folder. A suffix that cannot be written becomes .png.

    Args:
        inputs: Image files and folders of images; at least one. Of a folder, the files directly in it whose
            suffix is that of an image.
        output: For a single input file, the file to write, or a folder if it is one or has no suffix.
            For several or a folder, a folder.
        scale: Enlargement, for the names.
        suffix: Suffix of the names that are made here, e.g. ``".png"``. By default that of each source.

    Returns:
        One task per file, those of a folder in the order of their names. Files that were named are not
        looked at.

    Raises:
        ArgumentError: ``output`` is a file where it must be a folder, or two images would go into one file.
        DatasetError: A folder cannot be read or holds no images.
    """
    single_file = len(inputs) == 1 and not inputs[0].is_dir()
    if output is not None and not output.is_dir():
        if single_file and output.suffix:
            if suffix is not None:
                raise ArgumentError(f"{output}: expected a folder where the format is given as well")
            return [FileTask(inputs[0], output)]
        if output.is_file() or output.suffix.lower() in WRITABLE_SUFFIXES:
            raise ArgumentError(f"{output}: expected a folder to write several images into, got a file")
    tasks: dict[Path, FileTask] = {}
    for path in inputs:
        sources = list_images(path) if path.is_dir() else [path]
        for source in sources:
            folder = output or (source.parent if source is path else _enlarged_folder(path, scale))
            ending = suffix or (source.suffix if source.suffix.lower() in WRITABLE_SUFFIXES else ".png")
            target = folder / f"{source.stem}_x{scale}{ending}"
            if target in tasks:
                raise ArgumentError(
                    f"{target}: both {tasks[target].source} and {source} would be written to it; "
                    "enlarge them into different folders"
                )
            tasks[target] = FileTask(source, target)
    return list(tasks.values())


def _enlarged_folder(folder: Path, scale: int) -> Path:
    if folder.name in ("", ".."):
        folder = folder.resolve()
    return folder.with_name(f"{folder.name}_x{scale}")
