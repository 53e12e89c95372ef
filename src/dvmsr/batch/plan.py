"""Deciding which files to enlarge, and into which."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dvmsr.batch.earlier import part_earlier_outputs
from dvmsr.batch.naming import keys, name_targets
from dvmsr.batch.sources import Failure, PassedOver, Source, find_sources
from dvmsr.errors import ArgumentError, DatasetError, DvmsrError, ImageWriteError, setting
from dvmsr.images import check_format, comparison_path, open_image
from dvmsr.images.suffixes import WRITABLE_SUFFIXES
from dvmsr.inference.files import FileOptions
from dvmsr.inference.sizes import OutputSize

# Seconds: the coarsest file system in use, FAT, keeps even ones.
_TIME_RESOLUTION = 2.0


@dataclass(frozen=True)
class FileTask:
    """An image file to enlarge. Stands for itself: whoever has it, the options and the weights can do it."""

    source: Path
    """The file to read."""

    target: Path
    """The file to write."""

    width: int
    """Columns of the source, upright."""

    height: int
    """Rows of the source, upright."""

    target_width: int
    """Columns of the target."""

    target_height: int
    """Rows of the target."""

    decoding_bytes: int = 0
    """About how much memory it takes to decode the source."""

    pixel_bytes: int = 3
    """Bytes of a pixel of the target before it is compressed."""

    has_alpha: bool = False
    """Whether the source has transparency."""


@dataclass(frozen=True)
class Finished:
    """An image whose result is there already."""

    source: Path
    """The image."""

    target: Path
    """Its result."""


@dataclass(frozen=True)
class BatchPlan:
    """What is to be done, and what is not."""

    tasks: tuple[FileTask, ...]
    """The images to enlarge."""

    finished: tuple[Finished, ...] = ()
    """Images whose results are there already."""

    passed_over: tuple[PassedOver, ...] = ()
    """What was found and is not taken."""

    failed: tuple[Failure, ...] = ()
    """What cannot be done, as is known before the work."""


def plan_files(
    inputs: Sequence[str | os.PathLike[str]],
    output: Path | None = None,
    *,
    scale: int,
    options: FileOptions | None = None,
    suffix: str | None = None,
    recursive: bool = False,
) -> BatchPlan:
    """Decide which files to enlarge, and into which; see ``find_sources`` and ``name_targets``.

    Reads the headers of the images, and writes nothing. An image whose result is there, of the size that it
    would get and of the image's own time of change, is finished; with ``options.overwrite`` it is done again.

    Args:
        inputs: Image files, folders of images and patterns; at least one.
        output: For a single input file, the file to write, or a folder if it is one or has no suffix.
            For several or a folder, a folder.
        scale: By how much the network enlarges.
        options: How the files are enlarged.
        suffix: Suffix of the names that are made here, e.g. ``".png"``. By default that of each source.
        recursive: Whether the folders in a folder are gone through as well.

    Returns:
        The plan.

    Raises:
        ArgumentError: ``output`` is a file where it must be a folder, or an input is empty or a pattern that
            fits nothing.
        DatasetError: There is no image in what was named.
    """
    options = options or FileOptions()
    if not inputs or not all(map(os.fspath, inputs)):
        raise ArgumentError("expected the names of files or folders, got an empty one")
    paths = [Path(path) for path in inputs]
    size = options.size or OutputSize(scale=scale)
    explicit = _explicit_file(paths, output, suffix)
    folder = None if explicit else output
    found = find_sources(paths, recursive=recursive, output_folder=folder)
    headers = _Headers(options.max_pixels)
    sources, earlier = part_earlier_outputs(found.sources, headers.measure)
    passed_over, failed = [*found.passed_over, *earlier], list(found.failed)
    if not sources and not failed:
        raise DatasetError(_nothing(paths, passed_over))
    if explicit and len(sources) != 1:
        raise ArgumentError(f"{explicit}: expected a folder to write several images into, got a file")
    tasks, finished = [], []
    targets = (
        [explicit]
        if explicit
        else name_targets(
            sources,
            tag=size.tag,
            output_folder=folder,
            suffix=suffix,
            animations=headers.animations(sources) if options.pages == "all" else (),
        )
    )
    inputs_taken = {key for source in sources for key in keys(source.path)}
    for source, target in zip(sources, targets, strict=True):
        try:
            if options.compare and not inputs_taken.isdisjoint(keys(comparison_path(target))):
                raise ImageWriteError(
                    f"{comparison_path(target)}: is an image to be enlarged, and the comparison of"
                    f" {source.path.name} would have its name; write into another folder"
                )
            task = _task(source.path, target, headers, size, options)
            done = _finished(task, options)
        except DvmsrError as error:
            failed.append(Failure(source.path, str(error), error))
            continue
        if done:
            finished.append(done)
        else:
            tasks.append(task)
    return BatchPlan(tuple(tasks), tuple(finished), tuple(passed_over), tuple(failed))


def _explicit_file(inputs: Sequence[Path], output: Path | None, suffix: str | None) -> Path | None:
    """Return the output where that is a file to write, and check that it is a folder else."""
    if output is None or output.is_dir():
        return None
    if len(inputs) == 1 and not inputs[0].is_dir() and output.suffix:
        if suffix is not None:
            raise ArgumentError(f"{output}: expected a folder where the format is given as well")
        return output
    if output.is_file() or output.suffix.lower() in WRITABLE_SUFFIXES:
        raise ArgumentError(f"{output}: expected a folder to write several images into, got a file")
    return None


def _nothing(inputs: Sequence[Path], passed_over: Sequence[PassedOver]) -> str:
    names = ", ".join(map(str, inputs[:3])) + (f" and {len(inputs) - 3} more" if len(inputs) > 3 else "")
    if not passed_over:
        return f"{names}: expected images, and it is empty"
    shown = ", ".join(sorted({entry.reason for entry in passed_over})[:3])
    return f"{names}: no images in it; passed over {len(passed_over)} ({shown})"


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    decoding_bytes: int
    pixel_bytes: int
    has_alpha: bool
    animated: bool


class _Headers:
    """What the headers of image files say, each read once."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._known: dict[Path, _Header | DvmsrError] = {}

    def header(self, path: Path) -> _Header:
        if path not in self._known:
            try:
                reader = open_image(path, max_pixels=self._max_pixels)
                self._known[path] = _Header(
                    reader.width,
                    reader.height,
                    reader.decoding_bytes,
                    reader.pixel_bytes,
                    reader.has_alpha,
                    reader.animated,
                )
            except DvmsrError as error:
                self._known[path] = error
        known = self._known[path]
        if isinstance(known, DvmsrError):
            raise known
        return known

    def animations(self, sources: Sequence[Source]) -> set[Path]:
        """Which of them are animations."""
        found = set()
        for source in sources:
            # What cannot be read will be told of where its task is made.
            with suppress(DvmsrError):
                if self.header(source.path).animated:
                    found.add(source.path)
        return found

    def measure(self, path: Path) -> tuple[int, int]:
        header = self.header(path)
        return header.width, header.height


def _task(source: Path, target: Path, headers: _Headers, size: OutputSize, options: FileOptions) -> FileTask:
    header = headers.header(source)
    target_width, target_height = size.of(header.width, header.height)
    check_format(target, target_width, target_height, options.encoding)
    return FileTask(
        source,
        target,
        header.width,
        header.height,
        target_width,
        target_height,
        header.decoding_bytes,
        header.pixel_bytes,
        header.has_alpha,
    )


def _finished(task: FileTask, options: FileOptions) -> Finished | None:
    if options.overwrite or not task.target.exists():
        return None
    try:
        reader = open_image(task.target, max_pixels=task.target_width * task.target_height)
        fits = (reader.width, reader.height) == (task.target_width, task.target_height)
        # write_image gives a result the time of its source.
        apart = abs(task.source.stat().st_mtime - task.target.stat().st_mtime)
    except (DvmsrError, OSError):
        fits = False
    if not fits or apart > _TIME_RESOLUTION:
        raise ImageWriteError(
            f"{task.target}: exists already, and was not made of {task.source.name} as it is now; "
            f"choose another name, or have it replaced ({setting('--overwrite', 'overwrite=True')})"
        )
    return Finished(task.source, task.target)
