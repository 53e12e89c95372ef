"""Benchmark sets on disk: folders that hold ``HR/`` and ``LR/`` with paired names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dvmsr.config import SCALES
from dvmsr.errors import DatasetError
from dvmsr.images.folders import enumerate_some, images_by_name


@dataclass(frozen=True)
class ImagePair:
    """An image of a benchmark set in both sizes."""

    name: str
    """File name without its suffix."""

    high: Path
    """The ground truth."""

    low: Path
    """The network's input."""


@dataclass(frozen=True)
class BenchmarkSet:
    """A benchmark set on disk."""

    name: str
    """Set5 for ``.../Set5`` and for ``.../Set5/x4``."""

    pairs: tuple[ImagePair, ...]
    """Its images, ordered by name; at least one."""


def open_set(folder: Path) -> BenchmarkSet:
    """Find the image pairs of a benchmark set. Reads no image yet.

    Args:
        folder: Holds ``HR/`` and ``LR/``. The two files of a pair have one name; their suffixes may differ.

    Returns:
        The set. Its name is the folder's; of a folder x2, x3 or x4, the name of the folder around it.

    Raises:
        DatasetError: A folder is missing or empty, or names do not pair.
    """
    folder = folder.resolve()
    for part in ("HR", "LR"):
        if not (folder / part).is_dir():
            raise DatasetError(
                f"{folder}: no folder {part}; expected HR/ and LR/ with images of the same names"
            )
    high, low = images_by_name(folder / "HR"), images_by_name(folder / "LR")
    for here, there, files in (("HR", "LR", high.keys() - low), ("LR", "HR", low.keys() - high)):
        if files:
            raise DatasetError(f"{folder}: in {here} but not in {there}: {enumerate_some(sorted(files))}")
    named = folder.parent if folder.name in {f"x{scale}" for scale in SCALES} else folder
    pairs = tuple(ImagePair(name, high[name], low[name]) for name in sorted(high))
    return BenchmarkSet(named.name, pairs)


def open_sets(folders: Iterable[Path]) -> tuple[BenchmarkSet, ...]:
    """Find the image pairs of several sets, so that a wrong folder shows before hours of work on another.

    Args:
        folders: See :func:`open_set`.

    Returns:
        The sets in the same order.

    Raises:
        DatasetError: A folder is no benchmark set, or two have one name.
    """
    sets: dict[str, BenchmarkSet] = {}
    for folder in folders:
        benchmark = open_set(folder)
        if benchmark.name in sets:
            raise DatasetError(f"{folder}: a second set named {benchmark.name}; name each set once")
        sets[benchmark.name] = benchmark
    return tuple(sets.values())
