"""What can be asked of an enlarged video."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from dvmsr.errors import ArgumentError
from dvmsr.inference.sizes import OutputSize

_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,7}(?:\.\d{1,9})?)")


@dataclass(frozen=True)
class VideoOptions:
    """How a video is enlarged and written."""

    size: OutputSize | None = None
    """How large it becomes; None for the network's own scale. Odd sides become even where the format asks."""

    codec: str | None = None
    """One of "h264", "h265", "av1", "vp9", "prores", "ffv1", or FFmpeg's name of an encoder; None chooses."""

    crf: int | None = None
    """Constant rate factor of the encoder: less is better and larger."""

    preset: str | None = None
    """The encoder's effort, such as "veryfast" or "slow"."""

    pixel_format: str | None = None
    """FFmpeg's name of how pixels are stored, such as "yuv444p"."""

    start: Fraction | None = None
    """Seconds from the video's beginning at which to start."""

    end: Fraction | None = None
    """Seconds from the video's beginning at which to end."""

    deinterlace: bool = False
    """Whether the two fields of a frame are made one picture (bwdif)."""

    apply_rotation: bool = False
    """Whether the pixels are turned as the video is shown, and not the flag carried over."""

    alpha: str = "network"
    """How transparency is enlarged: "network" or "bicubic"."""

    segment_frames: int | None = None
    """Frames between places from which a run goes on; None chooses by their size."""

    overwrite: bool = False
    """Whether an existing file is replaced."""

    def __post_init__(self) -> None:
        start = self.start or Fraction(0)
        if self.end is not None and self.end <= start:
            raise ArgumentError(
                f"the end must come after the start, got {float(start):g} s and {float(self.end):g} s"
            )
        if self.segment_frames is not None and self.segment_frames < 1:
            raise ArgumentError(f"segment must be a whole number of frames from 1, got {self.segment_frames}")


def parse_time(text: str) -> Fraction:
    """Read a time: seconds, ``MM:SS`` or ``HH:MM:SS``, each with decimals.

    Raises:
        ArgumentError: It is none.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(f"expected a time such as 12.5 (seconds), 1:30 or 1:02:03.5; got {text[:40]!r}")
    hours, minutes, seconds = match.groups()
    return Fraction(seconds) + 60 * int(minutes or 0) + 3600 * int(hours or 0)
