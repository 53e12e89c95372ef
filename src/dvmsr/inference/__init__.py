"""Enlarging arrays, streams of rows, and files."""

from dvmsr.inference.short_form import upscale
from dvmsr.inference.upscaler import Upscaler

__all__ = ["Upscaler", "upscale"]
