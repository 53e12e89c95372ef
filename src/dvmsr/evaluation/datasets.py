"""Benchmark sets on disk, in the layouts in which they are downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dvmsr.config import SCALES
from dvmsr.errors import DatasetError
from dvmsr.images.folders import list_images
from dvmsr.images.pairs import pair_folders, pair_within

# Ours; DIV2K's, as DIV2K_valid_HR; BasicSR's.
_HIGH_FOLDERS = ("HR", "*_HR", "GTmod12")
_LOW_FOLDERS = (
    "LR/[Xx]{scale}",
    "LR_bicubic/[Xx]{scale}",
    "*_LR_bicubic/[Xx]{scale}",
    "LRbicx{scale}",
    "LR_bicubic",
    "LR",
)


@dataclass(frozen=True)
class ImagePair:
    """An image of a benchmark set in both sizes."""

    name: str
    """What the names of its files have in common, without a suffix."""

    high: Path
    """The ground truth."""

    low: Path | None
    """The network's input; None: it is made from ``high`` by bicubic reduction."""


@dataclass(frozen=True)
class BenchmarkSet:
    """A benchmark set on disk."""

    name: str
    """Set5 for ``.../Set5`` and for ``.../Set5/x4``."""

    pairs: tuple[ImagePair, ...]
    """Its images, ordered by name; at least one."""

    @property
    def has_low(self) -> bool:
        """Whether the set has LR images of its own."""
        return self.pairs[0].low is not None


def open_set(folder: Path, scale: int = 4) -> BenchmarkSet:
    """Find the image pairs of a benchmark set. Reads no image yet.

    Args:
        folder: Holds ``HR/`` and ``LR/``, or instead of these ``DIV2K_valid_HR/`` or ``GTmod12/``, and
            ``LR_bicubic/X4/``, ``DIV2K_valid_LR_bicubic/X4/`` or ``LRbicx4/``; or the HR images alone, in
            ``HR/`` or in itself; or both sizes in itself, as ``NAME_SRF_4_HR.png`` and ``NAME_SRF_4_LR.png``.
            How names pair is told in :mod:`dvmsr.images.pairs`.
        scale: Enlargement, for which of several LR folders is taken.

    Returns:
        The set. Its name is the folder's; of a folder x2, x3, x4 or HR, the name of the folder around it.

    Raises:
        DatasetError: A folder is missing or empty, or names do not pair.
    """
    folder = folder.resolve()
    high, low = _find(folder, _HIGH_FOLDERS, scale), _find(folder, _LOW_FOLDERS, scale)
    if high is None and (low is not None or not folder.is_dir()):
        raise DatasetError(f"{folder}: no folder HR; expected HR/ and LR/ with images of the same names")
    if high is not None and low is not None:
        pairs = pair_folders(high, low)
    else:
        pairs = {} if high is not None else pair_within(folder, scale)
    found = [ImagePair(name, high_file, low_file) for name, (high_file, low_file) in pairs.items()]
    if not found:
        found = [ImagePair(image.stem, image, None) for image in list_images(high or folder)]
    kinds = {"HR", *(f"{prefix}{scale}" for scale in SCALES for prefix in ("x", "X", "image_SRF_"))}
    named = next((path for path in (folder, *folder.parents) if path.name not in kinds), folder)
    return BenchmarkSet(named.name, tuple(found))


def open_sets(folders: Iterable[Path], scale: int = 4) -> tuple[BenchmarkSet, ...]:
    """Find the image pairs of several sets, so that a wrong folder shows before hours of work on another.

    Args:
        folders: See :func:`open_set`.
        scale: Enlargement.

    Returns:
        The sets in the same order.

    Raises:
        DatasetError: A folder is no benchmark set, or two have one name.
    """
    sets: dict[str, BenchmarkSet] = {}
    for folder in folders:
        benchmark = open_set(folder, scale)
        if benchmark.name in sets:
            raise DatasetError(f"{folder}: a second set named {benchmark.name}; name each set once")
        sets[benchmark.name] = benchmark
    return tuple(sets.values())


def _find(folder: Path, patterns: Iterable[str], scale: int) -> Path | None:
    """The folder that the first pattern names that names one."""
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern.format(scale=scale)) if path.is_dir())
        if len(found) > 1:
            names = " and ".join(str(path.relative_to(folder)) for path in found)
            raise DatasetError(f"{folder}: holds {names}; lay each set into a folder of its own")
        if found:
            return found[0]
    return None
