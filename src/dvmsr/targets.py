"""Finding out before the work whether a file may be written: every kind of file is asked for here."""

from __future__ import annotations

import os
from pathlib import Path

from dvmsr.errors import DvmsrError, setting


def check_target(
    target: Path, kind: type[DvmsrError], *, overwrite: bool = False, source: Path | None = None
) -> None:
    """Check that a file may be written, as far as that is known before.

    Args:
        target: The file.
        kind: The error that is raised.
        overwrite: Whether an existing file is replaced.
        source: The file that it is made of, which is never overwritten.

    Raises:
        DvmsrError: Of that kind: it exists and is not to be replaced, it is no regular file or the source
            itself, or its folder is missing or takes no files.
    """
    if target.exists():
        if source is not None and source.exists() and target.samefile(source):
            raise kind(f"{target}: is the input file itself; choose another name")
        if not target.is_file():
            raise kind(f"{target}: is no regular file; choose another name")
        if not overwrite:
            raise exists_error(target, kind)
    check_folder(target, kind)


def check_folder(target: Path, kind: type[DvmsrError]) -> None:
    """Check that the folder of a file is there and takes files.

    Args:
        target: The file.
        kind: The error that is raised.

    Raises:
        DvmsrError: Of that kind: it does not.
    """
    folder = target.resolve().parent
    if not folder.is_dir():
        raise kind(f"{target}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise kind(f"{target}: the folder {folder} cannot be written to; choose another")


def exists_error(target: Path, kind: type[DvmsrError]) -> DvmsrError:
    """Return the error of a target that is there already, which may come up after the work, too."""
    way = setting("--overwrite", "overwrite=True")
    return kind(f"{target}: exists already; choose another name, or have it replaced ({way})")
