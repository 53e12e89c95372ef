"""The images of a folder. Needs no libvips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dvmsr.errors import DatasetError
from dvmsr.images.signatures import SIGNATURE_BYTES, is_image
from dvmsr.images.suffixes import READABLE_SUFFIXES

_NAMES_SHOWN = 3


def list_images(folder: Path) -> list[Path]:
    """Return the images directly in a folder, by suffix or else by content, in the order of their names.

    A name that begins with a dot is hidden: a file that some system puts beside images, or one that is just
    being written.

    Args:
        folder: Where to look.

    Returns:
        At least one file. Those of a usual suffix have not been looked into.

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
        file for file in files if not file.name.startswith(".") and file.is_file() and _looks_like_image(file)
    ]
    if not images:
        raise DatasetError(f"{folder}: no images in it; expected files in {', '.join(READABLE_SUFFIXES)}")
    return images


def _looks_like_image(file: Path) -> bool:
    if file.suffix.lower() in READABLE_SUFFIXES:
        return True
    try:
        with file.open("rb") as opened:
            return is_image(opened.read(SIGNATURE_BYTES))
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror}") from error


def images_by_name(folder: Path, name_of: Callable[[str], str] = str) -> dict[str, Path]:
    """Return the images of a folder by their names without suffix, as HR and LR images pair.

    Args:
        folder: See :func:`list_images`.
        name_of: Turns a file's name without its suffix into the name that it goes by.

    Raises:
        DatasetError: As :func:`list_images`; or two images have one name.
    """
    return name_images(folder, list_images(folder), name_of)


def name_images(folder: Path, images: Iterable[Path], name_of: Callable[[str], str]) -> dict[str, Path]:
    """Do as :func:`images_by_name` for some of a folder's images."""
    named: dict[str, Path] = {}
    for path in images:
        name = name_of(path.stem)
        if name in named:
            raise DatasetError(
                f"{folder}: two images named {name}: {named[name].name}, {path.name};"
                " HR and LR images pair by name"
            )
        named[name] = path
    return named


def enumerate_some(names: Sequence[str]) -> str:
    """Join the first names, and say how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
