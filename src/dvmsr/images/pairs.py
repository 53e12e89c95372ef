"""HR and LR images that belong together, by the names that data sets give them. Needs no libvips.

The two files of a pair have one name, such as ``HR/baby.png`` and ``LR/baby.png``. Where the names of two
folders differ, the endings are left out that the sets in circulation add: ``0001x4`` and ``0001x4m`` (DIV2K),
``img_001_SRF_4_HR`` and ``img_001_SRF_4_LR`` (SelfExSR), ``baby_HR_x4`` and ``baby_LRBI_x4`` (RCAN).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dvmsr.errors import DatasetError
from dvmsr.images.folders import enumerate_some, images_by_name, list_images, name_images

_HIGH_ENDING = re.compile(r"(_SRF_\d)?_HR([_-]?x\d)?$", re.IGNORECASE)
_LOW_ENDING = re.compile(r"(_SRF_\d)?_LR(BI|BD|DN)?([_-]?x\d)?$|[_-]?x\d[md]?$", re.IGNORECASE)

Pairs = dict[str, tuple[Path, Path]]
"""The HR and the LR image of each pair by the pair's name, in the order of the names."""


def pair_folders(high: Path, low: Path) -> Pairs:
    """Pair the images of two folders.

    Args:
        high: The folder of the HR images.
        low: The folder of the LR images.

    Raises:
        DatasetError: A folder is missing or holds no images, two of its images have one name, or an image is
            alone.
    """
    highs, lows = images_by_name(high), images_by_name(low)
    if highs.keys() != lows.keys():
        highs, lows = images_by_name(high, _high_name), images_by_name(low, _low_name)
    for here, images, there, others in ((high, highs, low, lows), (low, lows, high, highs)):
        if alone := sorted(images[name].stem for name in images.keys() - others):
            raise DatasetError(
                f"{here}: has no partner in {there}: {enumerate_some(alone)}; HR and LR images pair by name"
            )
    return _joined(highs, lows)


def pair_within(folder: Path, scale: int) -> Pairs:
    """Pair the images of one folder that holds both, as ``NAME_SRF_4_HR.png`` and ``NAME_SRF_4_LR.png``.

    Args:
        folder: The folder. Images without such an ending are left alone.
        scale: Enlargement; endings that name another are left alone.

    Returns:
        The pairs; none where no image is named so.

    Raises:
        DatasetError: The folder is missing or holds no images, two of its images have one name, or an image
            has no partner.
    """

    def named(ending: re.Pattern[str]) -> list[Path]:
        found = ((image, ending.search(image.stem)) for image in list_images(folder))
        return [
            image
            for image, match in found
            if match and {str(scale)}.issuperset(re.findall(r"\d", match[0])) and "R" in match[0].upper()
        ]

    highs = name_images(folder, named(_HIGH_ENDING), _high_name)
    lows = name_images(folder, named(_LOW_ENDING), _low_name)
    if highs and lows and (alone := sorted(highs.keys() ^ lows.keys())):
        raise DatasetError(f"{folder}: has no partner by name: {enumerate_some(alone)}")
    return _joined(highs, lows) if lows else {}


def _joined(highs: Mapping[str, Path], lows: Mapping[str, Path]) -> Pairs:
    return {name: (highs[name], lows[name]) for name in sorted(highs)}


def _high_name(stem: str) -> str:
    return _HIGH_ENDING.sub("", stem)


def _low_name(stem: str) -> str:
    return _LOW_ENDING.sub("", stem)
