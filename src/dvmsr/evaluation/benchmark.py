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

from dvmsr.evaluation.datasets import BenchmarkSet, ImagePair
from dvmsr.evaluation.metrics import psnr_rgb, psnr_y, ssim_y
from dvmsr.evaluation.pairs import check_pair, read_pair
from dvmsr.images import imresize
from dvmsr.inference import Upscaler


class SupportsUpscale(Protocol):
    """Anything that enlarges: :class:`dvmsr.Upscaler`, or a peer to compare it with."""

    @property
    def scale(self) -> int:
        """Enlargement."""
        ...

    def upscale(self, image: NDArray[np.uint8], /) -> NDArray[Any]:
        """Enlarge (H, W, 3) uint8 to (scale*H, scale*W, 3) uint8."""
        ...


class Bicubic:
    """Bicubic interpolation, to compare networks with.

    Args:
        scale: Enlargement.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def upscale(self, image: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """Enlarge (H, W, 3) to (scale*H, scale*W, 3)."""
        return imresize(image, self.scale)


class Enlargement:
    """An upscaler as it is asked for: at another scale than its own, or its self-ensemble.

    Args:
        upscaler: The upscaler.
        scale: Enlargement; None takes the upscaler's own.
        self_ensemble: Whether its outputs are averaged over the flips and rotations of the input.
    """

    def __init__(self, upscaler: Upscaler, scale: int | None = None, *, self_ensemble: bool = False) -> None:
        self._upscaler = upscaler
        self._asked = scale
        self._self_ensemble = self_ensemble
        self.scale = upscaler.scale if scale is None else scale

    def upscale(self, image: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """Enlarge (H, W, 3) to (scale*H, scale*W, 3)."""
        return self._upscaler.upscale(image, scale=self._asked, self_ensemble=self._self_ensemble)


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
    for benchmark in benchmarks:
        for pair in benchmark.pairs:
            check_pair(pair, scale)


def score_set(
    upscaler: SupportsUpscale,
    benchmark: BenchmarkSet,
    on_image: Callable[[ImageScore], object] | None = None,
    on_output: Callable[[str, NDArray[np.uint8]], object] | None = None,
    choose: Callable[[Path], SupportsUpscale] | None = None,
) -> SetScore:
    """Enlarge the LR image of each pair and compare it with the HR image.

    As many pixels as the scale are cut from each side before comparing (see :mod:`dvmsr.evaluation.metrics`).

    Args:
        upscaler: What is scored.
        benchmark: The set.
        on_image: Called with each image's score, for instance to show progress.
        on_output: Called with each image's name and the enlarged image, for instance to save it.
        choose: Called with each file of an LR image for what enlarges this one instead of ``upscaler``.

    Returns:
        The scores.

    Raises:
        DatasetError: An image is not 8 bit or too small to score, or a pair's sizes do not fit the scale.
        ImageReadError: A file cannot be read.
    """
    scores = []
    for pair in benchmark.pairs:
        chosen = upscaler if choose is None or pair.low is None else choose(pair.low)
        score = _score_pair(chosen, pair, on_output)
        scores.append(score)
        if on_image is not None:
            on_image(score)
    return SetScore(benchmark.name, tuple(scores))


def make_report(
    weights: str,
    scores: Sequence[SetScore],
    bicubic: Sequence[SetScore],
    *,
    self_ensemble: bool = False,
    degradation: str | None = None,
) -> dict[str, Any]:
    """The content of the JSON file that ``dvmsr evaluate --json`` writes.

    Args:
        weights: What was scored.
        scores: The scores of all sets.
        bicubic: Those of bicubic interpolation on the same sets.
        self_ensemble: Whether the outputs were averaged over the flips and rotations of the input.
        degradation: How the LR images were degraded; None: they are the sets' own.

    Returns:
        Only dicts, lists, strings, booleans and numbers; None for an infinite PSNR (an output that equals its
        ground truth), because JSON has no infinity.
    """
    return {
        "weights": weights,
        "self_ensemble": self_ensemble,
        "degradation": degradation,
        "datasets": {
            score.name: {
                "images": len(score.images),
                **_numbers(score),
                "bicubic": _numbers(reference),
                "each": {
                    image.name: {**_numbers(image), "bicubic": _numbers(other)}
                    for image, other in zip(score.images, reference.images, strict=True)
                },
            }
            for score, reference in zip(scores, bicubic, strict=True)
        },
    }


def _score_pair(
    upscaler: SupportsUpscale, pair: ImagePair, on_output: Callable[[str, NDArray[np.uint8]], object] | None
) -> ImageScore:
    scale = upscaler.scale
    low, high = read_pair(pair, scale)
    start = time.perf_counter()
    output = upscaler.upscale(low)
    seconds = time.perf_counter() - start
    if on_output is not None:
        on_output(pair.name, output)
    return ImageScore(
        name=pair.name,
        psnr_y=psnr_y(output, high, border=scale),
        ssim_y=ssim_y(output, high, border=scale),
        psnr_rgb=psnr_rgb(output, high, border=scale),
        seconds=seconds,
    )


def _numbers(score: ImageScore | SetScore) -> dict[str, float | None]:
    return {
        "psnr_y": _finite(score.psnr_y),
        "ssim_y": score.ssim_y,
        "psnr_rgb": _finite(score.psnr_rgb),
        "seconds": score.seconds,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
