"""Choosing the network for a file, by what its image lost on its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvmsr.images import ImageReader
from dvmsr.images.traces import Traces, find_traces
from dvmsr.inference.upscaler import Upscaler

# About the strength that scored best for each quality of JPEG, and for each deviation of noise in steps
# of 255; between these it is interpolated. Measured on Set14 by benchmarks/strength.py.
_JPEG_QUALITIES = (50, 60, 80, 90, 95, 100)
_JPEG_STRENGTHS = (1.0, 0.875, 0.75, 0.5, 0.375, 0.125)
_NOISE = (2.5, 5)
_NOISE_STRENGTHS = (0.0, 1.0)
# WebP, AVIF and HEIC do not say how much they lost.
_OTHER_CODECS = 0.75
# So many networks are made at most.
_STEPS = 8


@dataclass(frozen=True)
class ModelChoice:
    """The network that was chosen for an image."""

    model: str
    """"clean" or "photo"."""

    strength: float
    """Of the photo network; 0 for the clean one."""

    reason: str
    """What was found, for people."""


def network_for(upscaler: Upscaler, reader: ImageReader) -> tuple[Upscaler, ModelChoice | None]:
    """Return the network for an image file.

    Args:
        upscaler: What shall enlarge it. Of the model "auto" the network is chosen by what the image lost.
        reader: The file.

    Returns:
        What enlarges it, and what was chosen; None where nothing was to be chosen.

    Raises:
        ImageReadError: The file is damaged.
        OSError: The file cannot be read any more.
    """
    if upscaler.model != "auto":
        return upscaler, None
    choice = choose_model(reader)
    return upscaler.with_strength(choice.strength), choice


def choose_model(reader: ImageReader) -> ModelChoice:
    """Choose the network for an image file.

    Photo for what lost data on its way: JPEG by the quality in its quantisation tables, other lossy formats,
    and noise. Clean for the rest.

    Args:
        reader: The file.

    Raises:
        ImageReadError: The file is damaged.
        OSError: The file cannot be read any more.
    """
    traces = find_traces(reader)
    strength = round(_strength(traces) * _STEPS) / _STEPS
    return ModelChoice("photo" if strength else "clean", strength, _reason(traces))


def _strength(traces: Traces) -> float:
    if traces.quality is not None:
        return float(np.interp(traces.quality, _JPEG_QUALITIES, _JPEG_STRENGTHS))
    if traces.codec:
        return _OTHER_CODECS
    return float(np.interp(traces.noise, _NOISE, _NOISE_STRENGTHS))


def _reason(traces: Traces) -> str:
    if traces.quality is not None:
        return f"JPEG of quality {traces.quality}"
    if traces.codec:
        return traces.codec
    if traces.noise >= _NOISE[0]:
        return f"noise of {traces.noise:.0f}/255"
    return "nothing lost"
