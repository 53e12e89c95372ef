"""A picture cut into tiles at several sizes: how a browser is shown one that is too large for it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pyvips

from dvmsr.errors import ImageWriteError
from dvmsr.images.decoding import read_error
from dvmsr.images.reading import ImageReader

TILE_SIDE = 1024
"""Columns and rows of a tile beside its overlap."""

OVERLAP = 1
"""Pixels that a tile shares with each neighbour, so that no seam shows where it is scaled."""

_FULL_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class Tiles:
    """A picture in tiles: ``folder/LEVEL/COLUMN_ROW.png``.

    The last level has its own size, each other half of the next.
    """

    folder: Path
    """Where they lie."""

    width: int
    """Columns of the picture."""

    height: int
    """Rows of the picture."""

    levels: int
    """How many sizes there are; at the smallest the picture is one tile."""


def write_tiles(reader: ImageReader, folder: Path) -> Tiles:
    """Cut a picture into tiles, PNG files with all bits, the transparency and the picture's own colours.

    Args:
        reader: The picture.
        folder: A folder that does not exist; its parent does.

    Raises:
        ImageReadError: The picture is damaged.
        ImageWriteError: The tiles cannot be written.
    """
    # libvips' own naming: NAME.dzi describes NAME_files.
    description, files = folder.with_name(f"{folder.name}.dzi"), folder.with_name(f"{folder.name}_files")
    try:
        _in_its_colours(reader).dzsave(
            str(folder),
            tile_size=TILE_SIDE,
            overlap=OVERLAP,
            suffix=".png[compression=1,filter=up]",
            depth="onetile",
            keep="icc",
        )
    except pyvips.Error as error:
        shutil.rmtree(files, ignore_errors=True)
        if shutil.disk_usage(folder.parent).free < _FULL_DISK_BYTES:
            raise ImageWriteError(
                f"{folder}: cannot be written: the disk is full; free some space"
            ) from error
        raise read_error(reader.source, error) from error
    finally:
        description.unlink(missing_ok=True)
    files.rename(folder)
    levels = sum(entry.is_dir() for entry in folder.iterdir())
    return Tiles(folder, reader.width, reader.height, levels)


def write_thumbnail(reader: ImageReader, path: Path, side: int) -> None:
    """Write a picture reduced to fit into a square, as a PNG file in the picture's own colours.

    Args:
        reader: The picture.
        path: The file to write; one that exists is replaced.
        side: Pixels of the square, from 1.

    Raises:
        ImageReadError: The picture is damaged.
    """
    try:
        image = _in_its_colours(reader).thumbnail_image(side, size="down")
        image.pngsave(str(path), keep="icc")
    except pyvips.Error as error:
        path.unlink(missing_ok=True)
        raise read_error(reader.source, error) from error


def _in_its_colours(reader: ImageReader) -> pyvips.Image:
    """Decode with an ICC profile where the file says by other words how its colours are to be shown."""
    image = reader.decode()
    colours = reader.metadata().colours
    profile = colours.to_profile(grey=reader.grey) if colours is not None else None
    if profile is not None:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image
