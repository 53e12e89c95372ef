"""Degradations with names, for scores that others can repeat."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dvmsr.degradations.blur import Blur
from dvmsr.degradations.chain import Degradation
from dvmsr.degradations.compression import Compression
from dvmsr.degradations.noise import Noise

PRESETS: Mapping[str, Degradation] = MappingProxyType(
    {
        **{f"jpeg{q}": Degradation(compressions=(Compression(q),)) for q in (40, 60, 80)},
        "noise10": Degradation(noise=Noise(gaussian=10)),
        # A small sensor behind a small lens, saved as phones do.
        "phone": Degradation(
            blur=Blur(1.6), noise=Noise(gaussian=2, poisson=5), compressions=(Compression(85),)
        ),
    }
)
"""By the names that ``dvmsr evaluate --degrade`` takes."""
