"""Names for the results: none twice, and none that is an image to be enlarged."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from dvmsr.batch.sources import Source
from dvmsr.batch.urls import is_url
from dvmsr.images.suffixes import WRITABLE_SUFFIXES


def name_targets(
    sources: Sequence[Source],
    *,
    tag: str,
    output_folder: Path | None = None,
    suffix: str | None = None,
    animations: Collection[Path] = (),
) -> list[Path]:
    """Choose the file that each image is written to.

    An image NAME.jpg becomes NAME_TAG.jpg: beside it; of a folder PHOTOS, in a folder PHOTOS_TAG beside that,
    in the same tree; or in ``output_folder``, where of several folders each gets one of its own name. Where
    two images would get one name, on any file system, the one that keeps its suffix has it, and others carry
    theirs: a.png becomes a_TAG.png and a.gif a_gif_TAG.png, also where a.png lies beside it and is not one of
    the images. So does an image whose target is itself one of the images.

    Args:
        sources: The images.
        tag: What the names carry, e.g. ``"x4"``.
        output_folder: Where the results go.
        suffix: Suffix of the names, e.g. ``".png"``; by default each image's own, ".png" of GIF and where
            that cannot be written.
        animations: Images of which all frames are written, which become WebP.

    Returns:
        One path for each image; the paths differ.
    """
    several = len({source.folder for source in sources if source.folder is not None}) > 1
    folders = [_folder(source, tag, output_folder, several) for source in sources]
    endings = [suffix or _own_suffix(source.path, animations) for source in sources]
    plain = [
        folder / f"{source.path.stem}_{tag}{ending}"
        for source, folder, ending in zip(sources, folders, endings, strict=True)
    ]
    # Whoever keeps its suffix has the first choice of names.
    order = sorted(range(len(sources)), key=lambda i: sources[i].path.suffix != endings[i])
    wanted = {key for name in plain for key in keys(name)}
    used = {key for source in sources for key in keys(source.path)}
    chosen: dict[int, Path] = {}
    for i in order:
        name, stem = plain[i], sources[i].path.stem
        if not used.isdisjoint(keys(name)) or _is_of_another(sources[i].path, endings[i]):
            own = sources[i].path.suffix[1:]
            stem = f"{stem}_{own}" if own else stem
            name = folders[i] / f"{stem}_{tag}{endings[i]}"
        number = 2
        while not used.isdisjoint(keys(name)) or (name != plain[i] and not wanted.isdisjoint(keys(name))):
            name = folders[i] / f"{stem}-{number}_{tag}{endings[i]}"
            number += 1
        used |= keys(name)
        chosen[i] = name
    return [chosen[i] for i in range(len(sources))]


def _is_of_another(path: Path, ending: str) -> bool:
    """Whether the plain name is for a file beside it, which would keep its suffix."""
    if is_url(path) or path.suffix.lower() == ending.lower():
        return False
    return os.path.isfile(path.with_name(path.stem + ending))  # noqa: PTH113 - False of a name too long


def _own_suffix(path: Path, animations: Collection[Path]) -> str:
    if path in animations:
        return ".webp"
    # GIF can be written, and spoils a photograph by its 256 colours.
    keeps = path.suffix.lower() in WRITABLE_SUFFIXES and path.suffix.lower() != ".gif"
    return path.suffix if keeps else ".png"


def _folder(source: Source, tag: str, output_folder: Path | None, several: bool) -> Path:
    if source.folder is None:
        return output_folder or source.path.parent
    # Not relative_to: a URL keeps its "." when it is joined to another.
    inside = source.path.parts[len(source.folder.parts) : -1]
    if output_folder is None:
        return beside(source.folder, tag).joinpath(*inside)
    name = (_named(source.folder).name,) if several else ()
    return output_folder.joinpath(*name, *inside)


def beside(folder: Path, tag: str) -> Path:
    """Return the folder that the results of a folder go to where nothing else is asked for."""
    folder = _named(folder)
    return folder.with_name(f"{folder.name}_{tag}")


def _named(folder: Path) -> Path:
    return folder.resolve() if folder.name in ("", "..") else folder


def keys(path: Path) -> set[str]:
    """What two names share that are one file on some file system: case counts on Linux, and not elsewhere.

    Of a link its own name, and that of what it leads to: writing to it writes there.
    """
    if is_url(path):
        return {str(path)}
    return {os.path.abspath(path).casefold(), os.path.realpath(path).casefold()}  # noqa: PTH100 - resolves none
