"""Deciding which files to enlarge, and into which."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dvmsr.batch.earlier import part_earlier_outputs
from dvmsr.batch.finished import is_finished, time_of
from dvmsr.batch.naming import keys, name_targets
from dvmsr.batch.sources import Failure, Found, PassedOver, Source, find_sources
from dvmsr.batch.url_sources import find_url_sources
from dvmsr.batch.urls import as_path, check_bucket, is_folder, is_url, list_folder
from dvmsr.errors import ArgumentError, DatasetError, DvmsrError, ImageWriteError
from dvmsr.images import check_format, comparison_path
from dvmsr.images.suffixes import WRITABLE_SUFFIXES
from dvmsr.inference.files import FileOptions, open_readers
from dvmsr.inference.sizes import OutputSize


@dataclass(frozen=True)
class FileTask:
    """An image file to enlarge. Stands for itself: whoever has it, the options and the weights can do it."""

    source: Path
    """The file to read; as the target it may be a URL with a path's face (``dvmsr.batch.urls``)."""

    target: Path
    """The file to write."""

    width: int
    """Columns of the source, upright; of a URL, whose header is read with all of it, 0, and so are the other
    sides."""

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

    pictures: int = 1
    """How many pages or frames of the source are enlarged. The sizes are of the first, and mostly of all."""

    @property
    def size_is_known(self) -> bool:
        """Whether the sizes are known before the work."""
        return self.width > 0

    @property
    def work(self) -> int:
        """What progress counts: pixels of the source, or 1 where its size is not known."""
        return max(1, self.width * self.height)


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

    Reads the headers of the images, but not of those behind URLs, and writes nothing. An image whose result
    is there is finished (see ``is_finished``); with ``options.overwrite`` it is done again.

    Args:
        inputs: Image files, folders of images, patterns, and URLs of files or folders; at least one.
        output: For a single input file, the file to write, or a folder if it is one or has no suffix.
            For several or a folder, a folder. May be a URL (``as_path``); for URLs it is needed.
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
        ImageReadError: A URL cannot be reached, or there is nothing behind it.
        ImageWriteError: There is no such bucket to write into.
        MissingExtraError: A URL needs a package that is not installed.
    """
    options = options or FileOptions()
    if not inputs or not all(map(str, inputs)):
        raise ArgumentError("expected the names of files or folders, got an empty one")
    paths = [as_path(path) for path in inputs]
    size = options.size or OutputSize(scale=scale)
    if output is not None and is_url(output):
        check_bucket(output)
    explicit = _explicit_file(paths, output, suffix)
    folder = None if explicit else output
    if output is None and any(map(is_url, paths)):
        raise ArgumentError("expected where to write what is read from a URL: -o FOLDER, or -o URL")
    # Of URLs they come with the names, where a question for each would take long.
    times: dict[Path, float] = {}
    found = _find(paths, recursive, folder, times)
    headers = _Headers(options)
    here = [source for source in found.sources if not is_url(source.path)]
    here, earlier = part_earlier_outputs(here, headers.measure)
    sources = here + [source for source in found.sources if is_url(source.path)]
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
    when = _times_of_results(folder, times)
    inputs_taken = {key for source in sources for key in keys(source.path)}
    for source, target in zip(sources, targets, strict=True):
        try:
            if options.compare and not inputs_taken.isdisjoint(keys(comparison_path(target))):
                raise ImageWriteError(
                    f"{comparison_path(target)}: is an image to be enlarged, and the comparison of"
                    f" {source.path.name} would have its name; write into another folder"
                )
            task = _task(source.path, target, headers, size, options)
            done = not options.overwrite and is_finished(task, when)
        except (DvmsrError, OSError) as error:
            failed.append(Failure.of(source.path, error))
            continue
        if done:
            finished.append(Finished(task.source, task.target))
        else:
            tasks.append(task)
    return BatchPlan(tuple(tasks), tuple(finished), tuple(passed_over), tuple(failed))


def _find(paths: Sequence[Path], recursive: bool, folder: Path | None, times: dict[Path, float]) -> Found:
    here = [path for path in paths if not is_url(path)]
    local_folder = None if folder is None or is_url(folder) else folder
    found = find_sources(here, recursive=recursive, output_folder=local_folder)
    for url in filter(is_url, paths):
        more = find_url_sources(url, recursive=recursive, output_folder=folder, times=times)
        found.sources += more.sources
        found.passed_over += more.passed_over
    return found


def _times_of_results(folder: Path | None, times: dict[Path, float]) -> Callable[[Path], float | None]:
    """Return what tells when a file was changed, with one look at all that lies in the folder of results."""
    listed = None
    if folder is not None and is_url(folder):
        listed = str(folder).rstrip("/") + "/"
        times.update(list_folder(folder)[0])

    def when(path: Path) -> float | None:
        if path in times:
            return times[path]
        if listed is not None and str(path).startswith(listed):
            return None
        return time_of(path)

    return when


def _explicit_file(inputs: Sequence[Path], output: Path | None, suffix: str | None) -> Path | None:
    """Return the output where that is a file to write, and check that it is a folder else."""
    if output is None or is_folder(output):
        return None
    if len(inputs) == 1 and not is_folder(inputs[0]) and output.suffix:
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
    pictures: int


class _Headers:
    """What the headers of image files say, each read once."""

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self._known: dict[Path, _Header | DvmsrError] = {}

    def header(self, path: Path) -> _Header:
        if path not in self._known:
            try:
                readers = open_readers(path, self._options)
                reader = readers[0]
                self._known[path] = _Header(
                    reader.width,
                    reader.height,
                    reader.decoding_bytes,
                    reader.pixel_bytes,
                    reader.has_alpha,
                    reader.animated,
                    sum(each.frames for each in readers),
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
            if is_url(source.path):
                # Without a look into it: most are not still.
                if source.path.suffix.lower() == ".gif":
                    found.add(source.path)
                continue
            # What cannot be read will be told of where its task is made.
            with suppress(DvmsrError):
                if self.header(source.path).animated:
                    found.add(source.path)
        return found

    def measure(self, path: Path) -> tuple[int, int]:
        header = self.header(path)
        return header.width, header.height


def _task(source: Path, target: Path, headers: _Headers, size: OutputSize, options: FileOptions) -> FileTask:
    if is_url(source):
        check_format(target, 1, 1, options.encoding)
        return FileTask(source, target, 0, 0, 0, 0)
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
        header.pictures,
    )
