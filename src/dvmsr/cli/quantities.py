"""Quantities as people read them."""

from __future__ import annotations

from datetime import timedelta


def megapixels(pixels: float) -> str:
    """Pixels as a text in millions of pixels."""
    return f"{pixels / 1e6:.3g} MP"


def images(count: float) -> str:
    """A number of images as a text."""
    return f"{count:.2f} images"


def duration(seconds: float) -> str:
    """A time as a text: 0.25 s, 45.12 s, 2:05:00."""
    return f"{seconds:.2f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def size_of(count: float) -> str:
    """Bytes as a text in units of 1024."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"
