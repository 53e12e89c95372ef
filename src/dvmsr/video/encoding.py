"""Encoding enlarged frames, a segment at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av import VideoFrame
from av.codec.context import Flags
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from dvmsr.errors import ArgumentError
from dvmsr.video.colour import Colour, FromRgb, is_yuv
from dvmsr.video.libav import same_priority, side_data
from dvmsr.video.segments import Outline, Segment
from dvmsr.video.source import Stamped
from dvmsr.video.work import Enlarged

# What encoders write anew for each frame: closed captions, time codes.
_CARRIED = {Type.A53_CC, Type.S12M_TIMECODE, Type.AFD}


@dataclass(frozen=True)
class EncoderSettings:
    """All that an encoder of a video needs to know."""

    encoder: str
    """FFmpeg's name of it."""

    pixel_format: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    pixel_aspect: Fraction
    colour: Colour
    options: Mapping[str, str]
    tag: str | None = None
    """The code by which the file is to name the codec, where it is not the usual one."""

    def configure(self, context: VideoCodecContext) -> None:
        """Tell an encoder that is not open yet."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pixel_format
        context.time_base, context.framerate = self.time_base, self.rate
        context.sample_aspect_ratio = self.pixel_aspect
        if is_yuv(av.VideoFormat(self.pixel_format)):
            self.colour.tag(context)
        # The header once in the file, not in each segment; and how long the last frame is shown.
        context.flags |= Flags.global_header | Flags.frame_duration
        context.options = dict(self.options)
        if self.tag is not None:
            context.codec_tag = self.tag

    def open(self) -> VideoCodecContext:
        """Open an encoder.

        Raises:
            ArgumentError: It does not take these settings.
        """
        context = av.CodecContext.create(self.encoder, "w")
        if not isinstance(context, VideoCodecContext):
            raise ArgumentError(f"expected an encoder of video, got {self.encoder}")
        self.configure(context)
        try:
            with same_priority():
                context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ArgumentError(
                f"{self.encoder} does not take {self.width}x{self.height} pixels as {self.pixel_format} with "
                f"{_told(self.options)}; ask for another size, codec, pixel format, crf or preset"
            ) from error
        if context.options:
            raise ArgumentError(f"{self.encoder} does not know {_told(context.options)}; leave it out")
        return context


class SegmentEncoder:
    """Encodes frames into segments of so many frames each.

    Args:
        settings: The encoder's settings.
        frames: Frames in a segment; only the last has less.
        keep: Takes each segment when it is complete.
        told: Called after each frame with the bytes that are encoded of the segment at hand.
    """

    def __init__(
        self,
        settings: EncoderSettings,
        frames: int,
        keep: Callable[[Segment], None],
        told: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._frames = frames
        self._keep = keep
        self._told = told
        self._from_rgb = FromRgb(settings.colour, settings.pixel_format)
        self._damaged = 0

    def encode(self, enlarged: Iterable[Enlarged]) -> None:
        """Encode frames to their end."""
        waiting = iter(enlarged)
        while (first := next(waiting, None)) is not None:
            self._encode_segment(first, waiting)

    def _encode_segment(self, first: Enlarged, more: Iterator[Enlarged]) -> None:
        context = self._settings.open()
        packets: list[Packet[VideoStream]] = []
        times: list[tuple[int, int]] = []
        computed = 0
        item: Enlarged | None = first
        while item is not None:
            stamped = item.picture.stamped
            packets += context.encode(self._frame(item, stamped))
            times.append((stamped.pts, stamped.duration))
            computed += item.computed
            last = item.picture
            self._told(sum(packet.size for packet in packets))
            item = next(more, None) if len(times) < self._frames else None
        packets += context.encode(None)
        damaged = last.damaged - self._damaged
        self._damaged = last.damaged
        packet_times = np.array([packet.pts for packet in packets], np.int64)
        outline = Outline(np.array(times, np.int64), packet_times, computed, last.checksum, damaged)
        self._keep(Segment(packets, context.extradata or b"", outline))

    def _frame(self, item: Enlarged, stamped: Stamped) -> VideoFrame:
        frame = self._from_rgb(item.pixels)
        if not _CARRIED.isdisjoint(side_data(stamped.frame)):
            frame = _with_side_data(frame, stamped.frame)
        frame.pts, frame.time_base, frame.duration = stamped.pts, self._settings.time_base, stamped.duration
        return frame


def _with_side_data(frame: VideoFrame, source: VideoFrame) -> VideoFrame:
    """Return a frame with the side data of another, which only a copy of that has."""
    carrier = source.reformat(
        frame.width, frame.height, frame.format.name, interpolation=Interpolation.POINT, threads=1
    )
    for plane, pixels in zip(carrier.planes, frame.planes, strict=True):
        plane.update(bytes(pixels))
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(carrier, name, getattr(frame, name))
    carrier.pict_type = 0
    return carrier


def _told(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "its defaults"
