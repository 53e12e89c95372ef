"""The images of a folder. Needs no libvips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvmsr.errors import DatasetError
from dvmsr.images.suffixes import READABLE_SUFFIXES

_NAMES_SHOWN = 3


def list_images(folder: Path) -> list[Path]:
    """Return the files directly in a folder whose suffix is that of an image, in the order of their names.

    A name that begins with a dot is hidden: a file that some system puts beside images, or one that is just
    being written.

    Args:
        folder: Where to look.

    Returns:
        At least one file. None of them has been looked into.

    Raises:
        DatasetError: There is no such folder, it cannot be read, or it holds no images.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of images, and there is none")
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


def images_by_name(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their names without suffix, as HR and LR images pair.

    Args:
        folder: See :func:`list_images`.

    Raises:
        DatasetError: As :func:`list_images`; or two images have one name.
    """
    named: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in named:
            raise DatasetError(
                f"{folder}: two images named {path.stem}: {named[path.stem].name}, {path.name};"
                " HR and LR images pair by name"
            )
        named[path.stem] = path
    return named


def enumerate_some(names: Sequence[str]) -> str:
    """Join the first names, and say how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
