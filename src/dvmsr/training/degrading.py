"""Degradations to learn from: how often each comes, how strong, and the one of a patch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dvmsr.degradations import REDUCTIONS, Blur, Compression, Degradation, Noise
from dvmsr.training.field_types import check_types, require

# Rows and columns of a block of JPEG's, with colours of half the resolution.
_BLOCK = 16


@dataclass(frozen=True)
class DegradationSettings:
    """What LR patches go through; by default nothing but MATLAB's bicubic reduction.

    Ranges are of two numbers, and a strength is drawn evenly between them.
    """

    probability: float = 0.0
    """Share of the patches that are degraded at all; of these, each step has its own probability."""

    blur: float = 0.5
    """Share that is blurred."""

    blur_sigma: tuple[float, ...] = (0.2, 2.4)
    """Range of the blur's standard deviation, in HR pixels."""

    blur_anisotropic: float = 0.5
    """Share of the blurred that are so in a direction, with a second standard deviation across it."""

    reductions: tuple[Literal["bicubic", "bilinear", "area"], ...] = REDUCTIONS
    """Filters that reduce, each as likely as it is named."""

    noise: float = 0.5
    """Share that is noisy."""

    noise_sigma: tuple[float, ...] = (1.0, 15.0)
    """Range of the noise's standard deviation, in steps of 255; for Poisson noise at white."""

    noise_poisson: float = 0.5
    """Share of the noisy whose noise is Poisson's and not Gaussian."""

    noise_grey: float = 0.4
    """Share of the noisy with the same noise in all channels."""

    jpeg: float = 0.75
    """Share that is saved as JPEG."""

    jpeg_quality: tuple[int, ...] = (30, 95)
    """Range of JPEG's quality."""

    jpeg_subsampled: float = 0.7
    """Share of the JPEGs with colours of half the resolution (4:2:0)."""

    jpeg_twice: float = 0.2
    """Share of the JPEGs that were saved twice, the grid of blocks shifted between."""

    webp: float = 0.05
    """Share that is saved as lossy WebP, after all else."""

    webp_quality: tuple[int, ...] = (50, 95)
    """Range of WebP's quality."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in (
            "probability",
            "blur",
            "blur_anisotropic",
            "noise",
            "noise_poisson",
            "noise_grey",
            "jpeg",
            "jpeg_subsampled",
            "jpeg_twice",
            "webp",
        ):
            share = getattr(self, name)
            require(0 <= share <= 1, f"{name} must be from 0 to 1, got {share}")
        require(bool(self.reductions), f"reductions must name some of {', '.join(REDUCTIONS)}, got none")
        for name, least, most in (
            ("blur_sigma", 0, 4),
            ("noise_sigma", 0, 255),
            ("jpeg_quality", 1, 100),
            ("webp_quality", 1, 100),
        ):
            values = getattr(self, name)
            require(
                len(values) == 2 and least <= values[0] <= values[1] <= most,
                f"{name} must be two numbers from {least} to {most}, the lower one first, got {list(values)}",
            )


def draw_degradation(settings: DegradationSettings, random: np.random.Generator) -> Degradation | None:
    """Draw what one patch goes through.

    Args:
        settings: How often, and how strong.
        random: Where it is drawn from.

    Returns:
        The degradation; None of a patch that stays clean.
    """

    def happens(share: float) -> bool:
        return bool(random.random() < share)

    if not happens(settings.probability):
        return None
    blur = _draw_blur(settings, random) if happens(settings.blur) else None
    reduction = settings.reductions[int(random.integers(len(settings.reductions)))]
    noise = None
    if happens(settings.noise):
        least, most = settings.noise_sigma
        sigma = float(random.uniform(least, most))
        grey = happens(settings.noise_grey)
        poisson = happens(settings.noise_poisson)
        noise = Noise(poisson=sigma, grey=grey) if poisson else Noise(gaussian=sigma, grey=grey)
    compressions = []
    if happens(settings.jpeg):
        for _ in range(2 if happens(settings.jpeg_twice) else 1):
            subsampled = happens(settings.jpeg_subsampled)
            compressions.append(_draw_compression("jpeg", settings.jpeg_quality, subsampled, random))
    if happens(settings.webp):
        compressions.append(_draw_compression("webp", settings.webp_quality, True, random))
    return Degradation(blur, reduction, noise, tuple(compressions))


def _draw_blur(settings: DegradationSettings, random: np.random.Generator) -> Blur:
    least, most = settings.blur_sigma
    along, across = (float(random.uniform(least, most)) for _ in range(2))
    if random.random() >= settings.blur_anisotropic:
        return Blur(along)
    return Blur(along, across, float(random.uniform(0, math.pi)))


def _draw_compression(
    codec: Literal["jpeg", "webp"], quality: tuple[int, ...], subsampled: bool, random: np.random.Generator
) -> Compression:
    least, most = quality
    row, column = (int(offset) for offset in random.integers(_BLOCK, size=2))
    return Compression(int(random.integers(least, most + 1)), codec, subsampled, (row, column))
