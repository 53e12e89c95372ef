"""Scoring an upscaler on benchmark sets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import DatasetError
from dvmsr.evaluation.datasets import BenchmarkSet, ImagePair
from dvmsr.evaluation.metrics import WINDOW_SIZE, psnr_rgb, psnr_y, ssim_y
from dvmsr.images import read_image


class SupportsUpscale(Protocol):
    """Anything that enlarges: :class:`dvmsr.Upscaler`, or a peer to compare it with."""

    @property
    def scale(self) -> int:
        """Enlargement."""
        ...

    def upscale(self, image: NDArray[np.uint8], /) -> NDArray[Any]:
        """Enlarge (H, W, 3) uint8 to (scale*H, scale*W, 3) uint8."""
        ...


@dataclass(frozen=True)
class ImageScore:
    """What one image scored."""

    name: str
    """File name without its suffix."""

    psnr_y: float
    """PSNR of the luma channel in dB."""

    ssim_y: float
    """SSIM of the luma channel."""

    psnr_rgb: float
    """PSNR over the three colour channels in dB."""

    seconds: float
    """Wall time of the enlargement alone, without reading and scoring."""


@dataclass(frozen=True)
class SetScore:
    """What one set scored: the mean over its images, and the sum of their seconds."""

    name: str
    """Name of the set."""

    images: tuple[ImageScore, ...]
    """The score of each image."""

    @property
    def psnr_y(self) -> float:
        """Mean PSNR of the luma channel in dB."""
        return fmean(image.psnr_y for image in self.images)

    @property
    def ssim_y(self) -> float:
        """Mean SSIM of the luma channel."""
        return fmean(image.ssim_y for image in self.images)

    @property
    def psnr_rgb(self) -> float:
        """Mean PSNR over the three colour channels in dB."""
        return fmean(image.psnr_rgb for image in self.images)

    @property
    def seconds(self) -> float:
        """Wall time of all enlargements."""
        return sum(image.seconds for image in self.images)


def check_sets(benchmarks: Iterable[BenchmarkSet], scale: int) -> None:
    """Check that sets can be scored by the headers of their images, before hours of work on the first.

    Args:
        benchmarks: The sets.
        scale: Enlargement.

    Raises:
        DatasetError: An image is not 8 bit or too small to score, or a pair's sizes do not fit the scale.
        ImageReadError: A file cannot be read.
    """
    # Scoring works without libvips, this does not.
    from dvmsr.images import open_image

    for benchmark in benchmarks:
        for pair in benchmark.pairs:
            low, high = open_image(pair.low), open_image(pair.high)
            _check_type(pair.low, low.dtype)
            _check_type(pair.high, high.dtype)
            _check_sizes(pair, (low.height, low.width), (high.height, high.width), scale)


def score_set(
    upscaler: SupportsUpscale,
    benchmark: BenchmarkSet,
    on_image: Callable[[ImageScore], object] | None = None,
) -> SetScore:
    """Enlarge the LR image of each pair and compare it with the HR image.

    As many pixels as the scale are cut from each side before comparing (see :mod:`dvmsr.evaluation.metrics`).

    Args:
        upscaler: What is scored.
        benchmark: The set.
        on_image: Called with each image's score, for instance to show progress.

    Returns:
        The scores.

    Raises:
        DatasetError: An image is not 8 bit or too small to score, or a pair's sizes do not fit the scale.
        ImageReadError: A file cannot be read.
    """
    scores = []
    for pair in benchmark.pairs:
        score = _score_pair(upscaler, pair)
        scores.append(score)
        if on_image is not None:
            on_image(score)
    return SetScore(benchmark.name, tuple(scores))


def make_report(weights: str, scores: Sequence[SetScore]) -> dict[str, Any]:
    """The content of the JSON file that ``dvmsr evaluate --json`` writes.

    Args:
        weights: What was scored.
        scores: The scores of all sets.

    Returns:
        Only dicts, strings and numbers; None for an infinite PSNR (an output that equals its ground truth),
        because JSON has no infinity.
    """
    return {
        "weights": weights,
        "datasets": {
            score.name: {
                "images": len(score.images),
                "psnr_y": _finite(score.psnr_y),
                "ssim_y": score.ssim_y,
                "psnr_rgb": _finite(score.psnr_rgb),
                "seconds": score.seconds,
            }
            for score in scores
        },
    }


def _score_pair(upscaler: SupportsUpscale, pair: ImagePair) -> ImageScore:
    low, high = _read(pair.low), _read(pair.high)
    scale = upscaler.scale
    height, width = _check_sizes(pair, low.shape[:2], high.shape[:2], scale)
    start = time.perf_counter()
    output = upscaler.upscale(low)
    seconds = time.perf_counter() - start
    target = high[:height, :width]
    return ImageScore(
        name=pair.name,
        psnr_y=psnr_y(output, target, border=scale),
        ssim_y=ssim_y(output, target, border=scale),
        psnr_rgb=psnr_rgb(output, target, border=scale),
        seconds=seconds,
    )


def _read(path: Path) -> NDArray[np.uint8]:
    image = read_image(path)
    _check_type(path, image.dtype)
    return image


def _check_type(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype != np.uint8:
        raise DatasetError(f"{path}: scores are defined for 8 bit images, this one is {dtype}")


def _check_sizes(pair: ImagePair, low: tuple[int, ...], high: tuple[int, ...], scale: int) -> tuple[int, int]:
    """Check a pair's (rows, columns); return those to compare."""
    height, width = scale * low[0], scale * low[1]
    # LR images are made from an HR image whose sides were cut to multiples of the scale.
    if not (0 <= high[0] - height < scale and 0 <= high[1] - width < scale):
        raise DatasetError(
            f"{pair.high}: {high[1]}x{high[0]} pixels, but scale {scale} of {low[1]}x{low[0]} in LR is "
            f"{width}x{height}"
        )
    if min(height, width) < WINDOW_SIZE + 2 * scale:
        raise DatasetError(
            f"{pair.high}: {high[1]}x{high[0]} pixels are too few to score at scale {scale}; "
            f"expected from {WINDOW_SIZE + 2 * scale} on each side"
        )
    return height, width


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
