"""What HDR10 says of the display that a video was made on, and how encoders are told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from av import VideoFrame
from av.sidedata.sidedata import Type

from dvmsr.video.libav import side_data

# FFmpeg's AVMasteringDisplayMetadata: 8 rationals of chromaticities (R, G, B, white), 2 of luminance, and
# 2 flags. AVContentLightMetadata: two numbers.
_MASTERING = struct.Struct("<20i2i")
_LIGHT = struct.Struct("<2I")
# What is carried from frame to frame only in the bit stream, and by no encoder here.
_DYNAMIC = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+ data",
    Type.DOVI_METADATA: "Dolby Vision data",
    Type.DOVI_RPU_BUFFER: "Dolby Vision data",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid data",
}


@dataclass(frozen=True)
class StaticHdr:
    """Static metadata of HDR10 (SMPTE ST 2086 and CTA-861.3)."""

    chromaticities: tuple[Fraction, ...] | None = None
    """x and y of red, green, blue and white."""

    luminance: tuple[Fraction, Fraction] | None = None
    """Least and most of the mastering display, in cd/m²."""

    light: tuple[int, int] | None = None
    """Maximum content light level and maximum frame-average light level, in cd/m²."""

    def parameters(self, encoder: str) -> list[str]:
        """Return the parameters by which an encoder writes this; none where it cannot."""
        dialect = _DIALECTS.get(encoder)
        if dialect is None:
            return []
        parts = []
        if self.chromaticities is not None and self.luminance is not None:
            parts.append(f"{dialect.display}={dialect.form(self.chromaticities, self.luminance)}")
        if self.light is not None:
            parts.append(f"{dialect.light}={self.light[0]},{self.light[1]}")
        return [*dialect.always, *parts] if parts else []


def read_hdr(frame: VideoFrame) -> StaticHdr | None:
    """Read the static metadata of a frame; None where it has none."""
    chromaticities = luminance = light = None
    data = side_data(frame)
    if Type.MASTERING_DISPLAY_METADATA in data:
        values = _MASTERING.unpack_from(data[Type.MASTERING_DISPLAY_METADATA])
        fractions = tuple(Fraction(values[i], values[i + 1] or 1) for i in range(0, 20, 2))
        if values[20]:
            chromaticities = fractions[:8]
        if values[21]:
            luminance = (fractions[8], fractions[9])
    if Type.CONTENT_LIGHT_LEVEL in data:
        light = _LIGHT.unpack_from(data[Type.CONTENT_LIGHT_LEVEL])
    if chromaticities is None and luminance is None and light is None:
        return None
    return StaticHdr(chromaticities, luminance, light)


def dynamic_kinds(frame: VideoFrame) -> list[str]:
    """Name the dynamic metadata of a frame, which is lost."""
    return sorted({_DYNAMIC[kind] for kind in side_data(frame) if kind in _DYNAMIC})


def _x26x_display(chromaticities: tuple[Fraction, ...], luminance: tuple[Fraction, Fraction]) -> str:
    """In units of 0.00002 and 0.0001 cd/m², as in the bit stream."""
    red, green, blue, white = (
        f"({round(chromaticities[i] * 50000)},{round(chromaticities[i + 1] * 50000)})" for i in (0, 2, 4, 6)
    )
    least, most = (round(value * 10000) for value in luminance)
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"


def _svt_display(chromaticities: tuple[Fraction, ...], luminance: tuple[Fraction, Fraction]) -> str:
    red, green, blue, white = (
        f"({float(chromaticities[i]):.5f},{float(chromaticities[i + 1]):.5f})" for i in (0, 2, 4, 6)
    )
    return f"G{green}B{blue}R{red}WP{white}L({float(luminance[1]):.4f},{float(luminance[0]):.4f})"


@dataclass(frozen=True)
class _Dialect:
    """What an encoder calls this."""

    display: str
    light: str
    form: Callable[[tuple[Fraction, ...], tuple[Fraction, Fraction]], str]
    always: tuple[str, ...] = ()


_DIALECTS = {
    "libx264": _Dialect("mastering-display", "cll", _x26x_display),
    "libx265": _Dialect("master-display", "max-cll", _x26x_display, ("hdr10=1",)),
    "libsvtav1": _Dialect("mastering-display", "content-light", _svt_display),
}
