"""Benchmark sets whose LR images were degraded by a named degradation."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dvmsr.degradations import PRESETS
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
    suffix = ".jpg" if degradation.compressions else ".png"
    targets = {
        (benchmark.name, pair.name): folder / benchmark.name / f"{pair.name}{suffix}"
        for benchmark in sets
        for pair in benchmark.pairs
    }
    check_new(targets.values())

    def degrade(benchmark: BenchmarkSet, pair: ImagePair) -> ImagePair:
        _, high = read_pair(pair, scale)
        target = targets[benchmark.name, pair.name]
        random = np.random.default_rng(zlib.crc32(pair.name.encode()))
        encoded = degradation.encode(high, scale, random)
        if encoded is None:
            save_image(target, degradation.apply(high, scale, random))
        else:
            save_bytes(target, encoded)
        return replace(pair, low=target)

    return tuple(
        replace(benchmark, pairs=tuple(degrade(benchmark, pair) for pair in benchmark.pairs))
        for benchmark in sets
    )
