"""Finding the images among what was named: files, folders, patterns; and naming what is not taken."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dvmsr.errors import ArgumentError, DvmsrError
from dvmsr.images.signatures import SIGNATURE_BYTES, is_image
from dvmsr.images.suffixes import RAW_ADVICE, RAW_SUFFIXES, READABLE_SUFFIXES

HIDDEN = "hidden"
NO_IMAGE = "no image that is read here"
RAW = RAW_ADVICE
SUBFOLDER = "a folder inside (recursive takes it)"
OUTPUT_FOLDER = "the folder that the results go to"
BROKEN_LINK = "a link that leads nowhere"
NOT_A_FILE = "a pipe, socket or device"
SAME_FILE = "another name of a file that is taken"
TAKEN_FOLDER = "a folder that is gone through already"


@dataclass(frozen=True)
class Source:
    """An image file that is to be enlarged."""

    path: Path
    """The file."""

    folder: Path | None = None
    """The folder that was named and in which it was found; None for a file that was named itself."""


@dataclass(frozen=True)
class PassedOver:
    """A file or folder that was found and is not taken."""

    path: Path
    """Where it is."""

    reason: str
    """Why it is not taken."""


@dataclass(frozen=True)
class Failure:
    """A file or folder that was to be enlarged and could not be."""

    path: Path
    """Where it is."""

    message: str
    """What went wrong, in one line that names the file."""

    cause: Exception | None = field(default=None, repr=False, compare=False)
    """The error itself, where it was raised in this process."""

    @classmethod
    def of(cls, path: Path, error: DvmsrError | OSError) -> Failure:
        """Return what to tell of an error that came of a file."""
        if isinstance(error, OSError):
            return cls(path, f"{os.fsdecode(error.filename or path)}: {error.strerror or error}", error)
        # What is wrong with an argument does not name the file that it is wrong for.
        text = f"{path}: {error}" if isinstance(error, ArgumentError) else str(error)
        return cls(path, text, error)


@dataclass
class Found:
    """What was found."""

    sources: list[Source] = field(default_factory=list)
    """The images, in the order of what was named, those of a folder by name."""

    passed_over: list[PassedOver] = field(default_factory=list)
    """All else."""

    failed: list[Failure] = field(default_factory=list)
    """Folders and files that cannot be looked into."""


def find_sources(
    inputs: Sequence[Path], *, recursive: bool = False, output_folder: Path | None = None
) -> Found:
    """Find the images among files, folders and patterns.

    A file that was named is taken whatever it is. Of a folder, those are taken whose suffix or content is
    that of an image. Symbolic links are followed; what is reached a second time is taken once. Nothing that
    is not a regular file is opened.

    Args:
        inputs: Files, folders, and patterns such as ``photos/*.jpg`` or ``**/*.png`` that name no file.
        recursive: Whether the folders in a folder are gone through as well.
        output_folder: A folder that is not gone into, as the results go there.

    Returns:
        What was found.

    Raises:
        ArgumentError: An input is empty, or a pattern that fits nothing.
    """
    walk = _Walk(recursive, output_folder)
    for path in _expanded(inputs):
        if path.is_dir():
            walk.enter(path, path)
        else:
            walk.found.sources.append(Source(path))
    walk.found.sources = list(_once(walk.found.sources, walk.found.passed_over))
    return walk.found


def _expanded(inputs: Sequence[Path]) -> Iterable[Path]:
    for path in inputs:
        if not os.path.lexists(path) and glob.has_magic(str(path)):
            matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - may be absolute
            if not matches:
                raise ArgumentError(f"{path}: expected a file, a folder or a pattern, and nothing fits it")
            yield from matches
        else:
            yield path


class _Walk:
    def __init__(self, recursive: bool, output_folder: Path | None) -> None:
        self.found = Found()
        self._recursive = recursive
        self._entered: set[tuple[int, int]] = set()
        self._output = _identity(output_folder) if output_folder is not None else None

    def enter(self, folder: Path, top: Path) -> None:
        """Go through a folder that was found under the folder `top`."""
        identity = _identity(folder)
        if identity is None or identity in self._entered:
            self.found.passed_over.append(PassedOver(folder, TAKEN_FOLDER))
            return
        self._entered.add(identity)
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.found.failed.append(Failure(folder, f"{folder}: cannot be read: {error.strerror}"))
            return
        inside = []
        for path in entries:
            try:
                mode = path.stat().st_mode
            except OSError as error:
                reason = BROKEN_LINK if path.is_symlink() else f"cannot be read: {error.strerror}"
                self._pass_over(path, reason)
                continue
            if path.name.startswith("."):
                self._pass_over(path, HIDDEN)
            elif stat.S_ISDIR(mode):
                inside.append(path)
            elif not stat.S_ISREG(mode):
                self._pass_over(path, NOT_A_FILE)
            else:
                self._take(path, top)
        # Of two ways to one folder the one without a link is taken.
        for path in sorted(inside, key=lambda path: (path.is_symlink(), path)):
            if self._output is not None and _identity(path) == self._output:
                self._pass_over(path, OUTPUT_FOLDER)
            elif self._recursive:
                self.enter(path, top)
            else:
                self._pass_over(path, SUBFOLDER)

    def _take(self, path: Path, top: Path) -> None:
        suffix = path.suffix.lower()
        if suffix in READABLE_SUFFIXES:
            self.found.sources.append(Source(path, top))
        elif suffix in RAW_SUFFIXES:
            self._pass_over(path, RAW)
        else:
            try:
                with path.open("rb") as file:
                    taken = is_image(file.read(SIGNATURE_BYTES))
            except OSError as error:
                self.found.failed.append(Failure(path, f"{path}: cannot be read: {error.strerror}"))
                return
            if taken:
                self.found.sources.append(Source(path, top))
            else:
                self._pass_over(path, NO_IMAGE)

    def _pass_over(self, path: Path, reason: str) -> None:
        self.found.passed_over.append(PassedOver(path, reason))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _once(sources: Sequence[Source], passed_over: list[PassedOver]) -> Iterable[Source]:
    """Leave out what links and repeated arguments name again; the file itself is kept rather than a link."""
    first: dict[Path, Source] = {}
    for source in sorted(sources, key=lambda source: source.path.is_symlink()):
        first.setdefault(_real(source.path), source)
    for source in sources:
        kept = first[_real(source.path)]
        if kept is source:
            yield source
        elif kept.path != source.path:
            passed_over.append(PassedOver(source.path, SAME_FILE))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
