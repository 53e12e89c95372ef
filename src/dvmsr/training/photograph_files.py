"""Finding the files to train on, and telling one set of them from another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvmsr.errors import DatasetError
from dvmsr.images import READABLE_SUFFIXES
from dvmsr.training.settings import DataSettings

_BYTES_AT_ONCE = 1 << 20
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class PhotographFile:
    """A photograph on disk."""

    high: Path
    """The ground truth."""

    low: Path | None
    """The network's input; None: it is made from ``high``."""


def find_photographs(data: DataSettings) -> list[PhotographFile]:
    """Find the photographs of all folders, those of a folder in the order of their names.

    Raises:
        DatasetError: A folder is missing or holds no images, or HR and LR names do not pair: two files of a
            folder have one name, or a name has one file.
    """
    if not data.hr:
        raise DatasetError("no photographs to train on: name a folder of them")
    found = []
    lows: Sequence[str | None] = data.lr or [None] * len(data.hr)
    for high_folder, low_folder in zip(data.hr, lows, strict=True):
        highs = _images(Path(high_folder))
        if low_folder is None:
            found += [PhotographFile(high, None) for high in highs]
            continue
        names, by_name = _by_name(highs), _by_name(_images(Path(low_folder)))
        alone = sorted(names.keys() ^ by_name.keys())
        if alone:
            raise DatasetError(
                f"{high_folder} and {low_folder}: only in one of them: {enumerate_some(alone)};"
                " HR and LR images pair by name"
            )
        found += [PhotographFile(high, by_name[high.stem]) for high in highs]
    return found


def fingerprint_files(files: Sequence[PhotographFile]) -> str:
    """Return a text that tells this set of files from others.

    It is made of names and whole contents: when a file was written, and where it lies, does not matter.

    Raises:
        DatasetError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        for path in (file.high, file.low):
            if path is not None:
                digest.update(_fingerprint_file(path))
    return digest.hexdigest()[:32]


def enumerate_some(names: Sequence[str]) -> str:
    """Join the first names, and say how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _fingerprint_file(path: Path) -> bytes:
    digest = hashlib.sha256(f"{path.name}\0".encode())
    try:
        with path.open("rb") as stream:
            while some := stream.read(_BYTES_AT_ONCE):
                digest.update(some)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.digest()


def _by_name(images: Sequence[Path]) -> dict[str, Path]:
    """The images of one folder by their names without suffix."""
    named: dict[str, Path] = {}
    for path in images:
        if path.stem in named:
            raise DatasetError(
                f"{path.parent}: two images named {path.stem}: {named[path.stem].name}, {path.name};"
                " HR and LR images pair by name"
            )
        named[path.stem] = path
    return named


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of photographs, and there is none")
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read: {error.strerror}") from error
    images = [
        file
        for file in files
        if file.suffix.lower() in READABLE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not images:
        raise DatasetError(f"{folder}: no images in it; expected files in {', '.join(READABLE_SUFFIXES)}")
    return images
