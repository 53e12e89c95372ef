"""Animation formats of pictures: how often they are played, and WebP's frames, which FFmpeg does not read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyvips
from av import VideoFrame
from numpy.typing import NDArray

from dvmsr.errors import VideoError
from dvmsr.images import ImageReader, open_pictures
from dvmsr.images.metadata.png import read_chunks
from dvmsr.images.signatures import SIGNATURE_BYTES
from dvmsr.video.colour import LIMITED, UNKNOWN, Colour
from dvmsr.video.options import VideoOptions
from dvmsr.video.source import Damage, Facts, Frames, Stamped, VideoSource

FOR_EVER = 0
_MILLISECOND = Fraction(1, 1000)
# What browsers take for a frame whose delay is not set.
_DEFAULT_DELAY = 100


def open_video(path: Path, options: VideoOptions) -> Frames:
    """Open a video or an animation.

    Args:
        path: The file.
        options: What part of it is taken, and whether it is deinterlaced.

    Raises:
        VideoError: It is missing, no video, or so damaged that there is no frame.
    """
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read: {error.strerror}") from error
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebpAnimation(path, options.start, options.end)
    source = VideoSource(path, options.start, options.end, options.deinterlace)
    if head.startswith((b"GIF8", b"\x89PNG")):
        facts = source.facts
        source.facts = replace(
            facts,
            plays=_plays(path, head),
            alpha=_is_transparent(source),
            frames=facts.frames or _frames(path, head),
        )
    return source


class WebpAnimation:
    """The frames of an animated WebP file.

    Args:
        path: The file.
        start: Seconds at which to start.
        end: Seconds at which to end.

    Raises:
        VideoError: It is no animation.
        ImageReadError: It is damaged.
    """

    def __init__(self, path: Path, start: Fraction | None, end: Fraction | None) -> None:
        self.path = path
        self.has_tracks = False
        self.origin = start or Fraction(0)
        self.damage = Damage()
        self._start, self._end = start or Fraction(0), end
        (self._reader,) = open_pictures(path)
        if self._reader.frames == 1:
            raise VideoError(f"{path}: is a picture and no video; enlarge it with: dvmsr upscale")
        header = self._reader.decode()
        self._delays = [delay or _DEFAULT_DELAY for delay in header.get("delay")]
        length = Fraction(sum(self._delays), 1000)
        self.facts = Facts(
            width=self._reader.width,
            height=self._reader.height,
            time_base=_MILLISECOND,
            rate=len(self._delays) / length,
            deep=False,
            alpha=self._reader.has_alpha and not self._reader.opaque,
            colour=Colour(1, LIMITED, UNKNOWN, UNKNOWN, 1),
            pixel_aspect=Fraction(1),
            matrix=None,
            interlaced=False,
            hdr=None,
            codec="webp",
            duration=length,
            frames=len(self._delays),
            plays=_loop(header),
        )

    def frames(self, after: int | None = None) -> Iterator[Stamped]:  # noqa: ARG002 - as of Frames
        """See ``Frames``."""
        now = -round(self._start / _MILLISECOND)
        end = None if self._end is None else (self._end - self._start) / _MILLISECOND
        for delay, pixels in zip(self._delays, _whole_frames(self._reader), strict=True):
            if end is not None and now >= end:
                return
            if now >= 0:
                frame = VideoFrame.from_ndarray(pixels, format="rgba")
                frame.pts, frame.time_base = now, _MILLISECOND
                yield Stamped(frame, now, delay if end is None else min(delay, int(end - now)))
            now += delay


def _whole_frames(reader: ImageReader) -> Iterator[NDArray[np.uint8]]:
    """Decode the frames as (H, W, 4)."""
    rows: list[NDArray[np.uint8]] = []
    for block in reader.samples(reader.height):
        rows.append(block)
        if sum(map(len, rows)) < reader.height:
            continue
        frame, rows = np.concatenate(rows), []
        colours = frame[..., :-1] if reader.has_alpha else frame
        alpha = frame[..., -1:] if reader.has_alpha else np.full((*frame.shape[:2], 1), 255, np.uint8)
        yield np.ascontiguousarray(
            np.concatenate([np.broadcast_to(colours, (*frame.shape[:2], 3)), alpha], axis=2)
        )


def _plays(path: Path, head: bytes) -> int:
    """Return how often a GIF or PNG animation is played."""
    if head.startswith(b"GIF8"):
        return _loop(pyvips.Image.gifload(str(path)))
    return int.from_bytes(_control(path)[4:8], "big")


def _frames(path: Path, head: bytes) -> int | None:
    """Return how many frames a PNG animation has; None of a GIF, which does not tell."""
    return None if head.startswith(b"GIF8") else int.from_bytes(_control(path)[:4], "big") or None


def _control(path: Path) -> bytes:
    """Return the chunk of a PNG file that says what animation it is."""
    with path.open("rb") as file:
        return next((data for kind, data in read_chunks(file) if kind == b"acTL"), b"")


def _loop(header: pyvips.Image) -> int:
    return int(header.get("loop")) if header.get_typeof("loop") else FOR_EVER


def _is_transparent(source: VideoSource) -> bool:
    """Return whether any pixel of an animation is transparent: decoders give them all alpha."""
    if not source.facts.alpha:
        return False
    return any(
        bool((stamped.frame.to_ndarray(format="rgba")[..., 3] < 255).any()) for stamped in source.frames()
    )
