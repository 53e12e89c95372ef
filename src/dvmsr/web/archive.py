"""All results in one zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path


def write_archive(files: Iterable[Path], target: Path) -> None:
    """Write files into a zip file, as they are: pictures are compressed already.

    Args:
        files: The files. Where two have one name, on any file system, the later ones get a number.
        target: The zip file to write.

    Raises:
        OSError: A file cannot be read, or the zip file not written.
    """
    taken: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in files:
            name, number = path.name, 2
            while name.casefold() in taken:
                name = f"{path.stem} ({number}){path.suffix}"
                number += 1
            taken.add(name.casefold())
            archive.write(path, name)
