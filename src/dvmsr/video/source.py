"""A video file as frames with their times.

Times are counted in ticks of ``time_base`` from the beginning: that of the file, or where ``start`` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av import CodecContext, VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from dvmsr.errors import VideoError
from dvmsr.video import colour, hdr, orientation
from dvmsr.video.fields import deinterlaced
from dvmsr.video.libav import open_input, reason

# Demuxers that give one picture, or a list of them.
_STILL = ("image2", "_pipe")
_DEFAULT_RATE = Fraction(25)
# Decoders with transparency, which FFmpeg's own do not see.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass(frozen=True)
class Stamped:
    """A frame and when it is shown."""

    frame: VideoFrame
    pts: int
    """Ticks from the beginning."""

    duration: int
    """Ticks, from 1."""


@dataclass(frozen=True)
class Facts:
    """What a video is, as its first frame tells."""

    width: int
    """Columns as stored."""

    height: int
    """Rows as stored."""

    time_base: Fraction
    """Seconds of a tick."""

    rate: Fraction
    """Frames per second, on average."""

    deep: bool
    """Whether samples have more than 8 bits."""

    alpha: bool
    """Whether pixels can be transparent."""

    colour: colour.Colour
    pixel_aspect: Fraction
    """Width of a pixel through its height."""

    matrix: orientation.Matrix | None
    """How it is turned when it is shown."""

    interlaced: bool
    hdr: hdr.StaticHdr | None
    codec: str
    """FFmpeg's name of its codec."""

    duration: Fraction | None
    """Seconds from the beginning to the end, as the file says."""

    frames: int | None
    """About how many frames."""

    plays: int | None = None
    """Of an animation, how often it is played; 0 is for ever. None of a video."""

    notes: tuple[str, ...] = ()
    """What is lost or was chosen, a line each."""


@dataclass
class Damage:
    """What could not be read."""

    packets: int = 0
    """Packets that could not be decoded."""

    frames: int = 0
    """Frames that the decoder marked as damaged."""

    cut: str | None = None
    """Why nothing after some place could be read."""

    resized: int = 0
    """Frames of another size than the first."""

    def forget(self) -> None:
        """Count from here on: what came before was counted by an earlier run."""
        self.packets = self.frames = self.resized = 0


class Frames(Protocol):
    """Where frames come from."""

    path: Path
    facts: Facts
    damage: Damage
    origin: Fraction
    """Seconds in the file's own time at which this begins."""

    has_tracks: bool
    """Whether FFmpeg reads the file, and what is in it beside the frames."""

    def frames(self, after: int | None = None) -> Iterator[Stamped]:
        """Decode the frames in the order of their times.

        Args:
            after: Ticks of the frame to begin with, if that is near; what is before it may come first.
        """
        ...


@dataclass
class VideoSource:
    """A video that FFmpeg reads.

    Args:
        path: The file.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.
        deinterlace: Whether frames of two fields become one picture.

    Raises:
        VideoError: The file is missing, no video, or so damaged that there is no frame.
    """

    path: Path
    start: Fraction | None = None
    end: Fraction | None = None
    deinterlace: bool = False
    damage: Damage = field(default_factory=Damage)
    origin: Fraction = Fraction(0)
    facts: Facts = field(init=False)
    has_tracks = True

    def __post_init__(self) -> None:
        with closing(open_input(self.path)) as container:
            stream = main_video(self.path, container)
            self.origin = beginning(container) + (self.start or 0)
            self._rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
            self._stream_base = stream.time_base or 1 / self._rate
            first = next(self._decoded(container, stream, None), None)
            if first is None:
                raise VideoError(f"{self.path}: no frame of it can be decoded; it is damaged, or cut short")
            self.facts = self._facts(container, stream, first)
        # What was met here comes again.
        self.damage = Damage()

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick. Deinterlacing halves them."""
        return self._stream_base / 2 if self.deinterlace else self._stream_base

    def frames(self, after: int | None = None) -> Iterator[Stamped]:
        """See ``Frames``."""
        shift = round(self.origin / self.time_base)
        last = None if self.end is None else (self.end - (self.start or 0)) / self.time_base
        waiting: tuple[VideoFrame, int] | None = None
        for frame, ticks in self._timed(None if after is None else after + shift):
            pts = ticks - shift
            # Half a tick: times that people write are not whole ticks.
            if self.start is not None and pts < Fraction(-1, 2):
                continue
            if last is not None and pts >= last - Fraction(1, 2):
                break
            if waiting is not None:
                yield Stamped(*waiting, duration=max(1, pts - waiting[1]))
            waiting = (frame, pts)
        if waiting is not None:
            duration = waiting[0].duration or round(1 / (self._rate * self.time_base))
            if last is not None:
                duration = min(duration, int(last - waiting[1]))
            yield Stamped(*waiting, duration=max(1, duration))

    def _timed(self, after: int | None) -> Iterator[tuple[VideoFrame, int]]:
        """Give every frame a time that is later than that of the one before."""
        step = max(1, round(1 / (self._rate * self.time_base)))
        previous: int | None = None
        with closing(open_input(self.path)) as container:
            stream = main_video(self.path, container)
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all
            frames = self._decoded(container, stream, after)
            for frame in deinterlaced(frames, stream) if self.deinterlace else frames:
                if frame.pts is None:
                    ticks = 0 if previous is None else previous + step
                else:
                    ticks = frame.pts
                    if frame.time_base is not None and frame.time_base != self.time_base:
                        ticks = round(ticks * frame.time_base / self.time_base)
                if previous is not None and ticks <= previous:
                    ticks = previous + 1
                previous = ticks
                yield frame, ticks

    def _decoded(
        self, container: InputContainer, stream: VideoStream, after: int | None
    ) -> Iterator[VideoFrame]:
        decoder: CodecContext = stream.codec_context
        name = _ALPHA_DECODERS.get(decoder.name)
        if name is not None and ("alpha_mode", "1") in {(k.lower(), v) for k, v in stream.metadata.items()}:
            decoder = CodecContext.create(name, "r")
        if after is not None:
            try:
                container.seek(round(after * self.time_base / self._stream_base), stream=stream)
            except av.FFmpegError:
                container.seek(0)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.damage.cut = reason(error)
                packet = None
            try:
                frames = _decode(decoder, packet)
            except av.EOFError:
                frames = []
            except av.FFmpegError:
                self.damage.packets += 1
                frames = []
            for frame in frames:
                self.damage.frames += frame.is_corrupt
                yield frame
            if packet is None or (packet.dts is None and not packet.size):
                return

    def _facts(self, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> Facts:
        notes = []
        if lost := hdr.dynamic_kinds(frame):
            notes.append(f"lost: {', '.join(lost)}, which no encoder here writes")
        duration = None
        if stream.duration is not None:
            duration = stream.duration * self._stream_base
        elif container.duration is not None:
            duration = Fraction(container.duration, av.time_base)
        length = duration
        if length is not None:
            length = min(length, self.end or length) - (self.start or 0)
            if length <= 0:
                raise VideoError(
                    f"{self.path}: is {float(duration or 0):g} s long; expected a start before its end"
                )
        frames = round(length * self._rate) if length is not None else stream.frames or None
        if stream.frames and self.start is None and self.end is None:
            frames = stream.frames
        pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
        return Facts(
            width=frame.width,
            height=frame.height,
            time_base=self.time_base,
            rate=self._rate,
            deep=colour.depth_of(frame.format) > 8,
            alpha=colour.has_alpha(frame.format),
            colour=colour.Colour.of(frame),
            pixel_aspect=pixel_aspect if pixel_aspect > 0 else Fraction(1),
            matrix=orientation.read_matrix(frame),
            interlaced=frame.interlaced_frame,
            hdr=hdr.read_hdr(frame),
            codec=stream.codec_context.name,
            duration=duration,
            frames=frames,
            notes=tuple(notes),
        )


def main_video(path: Path, container: InputContainer) -> VideoStream:
    """Return the track that is enlarged: the first that is no cover picture.

    Raises:
        VideoError: There is none, or the file is a picture.
    """
    if any(mark in container.format.name for mark in _STILL):
        raise VideoError(f"{path}: is a picture and no video; enlarge it with: dvmsr upscale")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise VideoError(f"{path}: its video is of a codec that is not built in")
            return stream
    raise VideoError(f"{path}: has no video track")


def beginning(container: InputContainer) -> Fraction:
    """Return the time at which a file begins, in seconds: of some kinds it is not 0."""
    return Fraction(container.start_time or 0, av.time_base)


def _decode(decoder: CodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """Decode a packet; an empty one, or none, gives what the decoder still has."""
    assert isinstance(decoder, VideoCodecContext)
    return decoder.decode(packet if packet is not None and packet.size else None)
