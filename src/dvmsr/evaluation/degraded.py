"""Benchmark sets whose LR images were degraded by a named degradation."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvmsr.degradations import PRESETS, Degradation
from dvmsr.evaluation.datasets import BenchmarkSet, ImagePair
from dvmsr.evaluation.pairs import read_pair
from dvmsr.evaluation.saving import check_new, save_bytes, save_image


def degrade_sets(
    sets: Sequence[BenchmarkSet], name: str, scale: int, folder: Path
) -> tuple[BenchmarkSet, ...]:
    """Make the LR images of sets from their HR images anew, as files.

    What is random in them comes from the images' names, so they are the same each time. A degradation that
    ends with JPEG leaves JPEG files, and others PNG.

    Args:
        sets: The sets; LR images that they have give the sizes alone.
        name: One of :data:`dvmsr.degradations.PRESETS`.
        scale: Enlargement that is to be scored.
        folder: Where to: the LR image of ``SET/NAME`` is ``FOLDER/SET/NAME.png`` or ``.jpg``.

    Returns:
        The sets with these LR images.

    Raises:
        DatasetError: An image is not 8 bit, or a pair's sizes do not fit the scale.
        ImageReadError: An image cannot be read.
        ImageWriteError: A file exists already or cannot be written.
        MissingExtraError: Pillow is not installed.
    """
    degradation = PRESETS[name]
    targets = {
        (benchmark.name, pair.name): folder / benchmark.name / f"{pair.name}{degradation.suffix}"
        for benchmark in sets
        for pair in benchmark.pairs
    }
    check_new(targets.values())

    def degrade(benchmark: BenchmarkSet, pair: ImagePair) -> ImagePair:
        _, high = read_pair(pair, scale)
        target = targets[benchmark.name, pair.name]
        save_degraded(target, degradation, high, scale, pair.name)
        return replace(pair, low=target)

    return tuple(
        replace(benchmark, pairs=tuple(degrade(benchmark, pair) for pair in benchmark.pairs))
        for benchmark in sets
    )


def save_degraded(
    target: Path, degradation: Degradation, high: NDArray[np.uint8], scale: int, name: str
) -> None:
    """Save the LR image that a degradation makes of an HR image: as JPEG where it ends with that, else PNG.

    Args:
        target: The file to write.
        degradation: What the image goes through.
        high: (scale * H, scale * W, 3).
        scale: Enlargement that is to be scored.
        name: The image's, from which comes what is random.

    Raises:
        ImageWriteError: The file cannot be written.
        MissingExtraError: Pillow is not installed.
    """
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if degradation.leaves_file:
        save_bytes(target, degradation.encode(high, scale, random))
    else:
        save_image(target, degradation.apply(high, scale, random))
