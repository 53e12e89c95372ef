"""Finding the files to train on, and telling one set of them from another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dvmsr.errors import DatasetError
from dvmsr.images.folders import enumerate_some, images_by_name, list_images
from dvmsr.images.pairs import pair_folders
from dvmsr.training.settings import DataSettings, TeacherSettings

_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class PhotographFile:
    """A photograph on disk."""

    high: Path
    """The ground truth."""

    low: Path | None
    """The network's input; None: it is made from ``high``."""

    teacher: Path | None = None
    """A teacher's output."""


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
        if low_folder is None:
            found += [PhotographFile(high, None) for high in list_images(Path(high_folder))]
            continue
        pairs = pair_folders(Path(high_folder), Path(low_folder))
        found += [PhotographFile(high, low) for high, low in pairs.values()]
    return found


def add_teacher_outputs(files: Sequence[PhotographFile], teacher: TeacherSettings) -> list[PhotographFile]:
    """Return the photographs with what the teacher's folder holds for them, if there is one.

    Raises:
        DatasetError: The folder is missing or has no image for a photograph, or two of one name.
    """
    if not teacher.outputs_folder:
        return list(files)
    outputs = images_by_name(Path(teacher.outputs_folder))
    if missing := [file.high.name for file in files if file.high.stem not in outputs]:
        raise DatasetError(
            f"{teacher.outputs_folder}: no output for {enumerate_some(missing)}; expected an image by the"
            " name of each photograph: add it, or take the photograph away"
        )
    return [replace(file, teacher=outputs[file.high.stem]) for file in files]


def fingerprint_files(files: Sequence[PhotographFile]) -> str:
    """Return a text that tells this set of photographs from others.

    It is made of names and whole contents: when a file was written, and where it lies, does not matter.

    Raises:
        DatasetError: A file cannot be read.
    """
    return _fingerprint(path for file in files for path in (file.high, file.low) if path is not None)


def fingerprint_teacher_outputs(files: Sequence[PhotographFile]) -> list[str]:
    """Return a text that tells the outputs in the teacher's folder from others; of no folder, none.

    Raises:
        DatasetError: A file cannot be read.
    """
    outputs = [file.teacher for file in files if file.teacher is not None]
    return [_fingerprint(outputs)] if outputs else []


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_fingerprint_file(path))
    return digest.hexdigest()[:32]


def _fingerprint_file(path: Path) -> bytes:
    digest = hashlib.sha256(f"{path.name}\0".encode())
    try:
        with path.open("rb") as stream:
            while some := stream.read(_BYTES_AT_ONCE):
                digest.update(some)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.digest()
