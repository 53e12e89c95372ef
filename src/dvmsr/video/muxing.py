"""Putting the segments together into a file, with the tracks that are copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from dvmsr.errors import VideoError
from dvmsr.video.encoding import EncoderSettings
from dvmsr.video.formats import Container
from dvmsr.video.libav import open_input, reason, url
from dvmsr.video.orientation import Matrix
from dvmsr.video.segments import SegmentFolder
from dvmsr.video.source import main_video
from dvmsr.video.tracks import (
    Tracks,
    add_picture,
    add_track,
    is_picture,
    moved_chapters,
    picture_data,
    tags,
    told_language,
)

if TYPE_CHECKING:
    # The second at which a packet is decoded, and the packet.
    _Timed = tuple[Fraction, Packet[Any]]

# Demuxers whose files say how long they are, rather than having it guessed.
_SAY_LENGTH = {"mov", "matroska", "avi", "asf", "flv"}
_LENGTH_TOLERANCE = Fraction(1, 2)


@dataclass(frozen=True)
class Whole:
    """What a file is made of beside the segments."""

    source: Path | None
    """What tracks and tags are copied from, if anything."""

    container: Container
    settings: EncoderSettings
    tracks: Tracks
    origin: Fraction
    """Seconds in the source's own time at which the new file begins."""

    start: Fraction | None
    end: Fraction | None
    matrix: Matrix | None
    """How the new video is turned when it is shown."""

    alpha: bool
    """Whether it has transparency."""


def write_video(path: Path, whole: Whole, segments: SegmentFolder) -> str | None:
    """Write the file.

    Args:
        path: Where.
        whole: What it is made of beside the segments.
        segments: The encoded video.

    Returns:
        Why the source ends too early, if it does.

    Raises:
        VideoError: A segment is damaged.
        av.FFmpegError: It cannot be written.
    """
    with (
        nullcontext() if whole.source is None else open_input(whole.source) as source,
        av.open(url(path), "w", format=whole.container.muxer, options=dict(whole.tracks.options)) as output,
    ):
        if source is None:
            video = _add_video(output, None, whole)
            output.start_encoding()
            for _, packet in _video_packets(segments, video, whole.settings):
                output.mux_one(packet)
            return None
        video, copies = _add_streams(output, source, whole)
        length = None if whole.end is None else whole.end - (whole.start or 0)
        output.metadata.update(tags(source.metadata))
        output.set_chapters(moved_chapters(source, whole.origin, length))
        output.start_encoding()
        reader = _Copier(source, copies, whole.origin, length, has_start=whole.start is not None)
        ours = _video_packets(segments, video, whole.settings)
        # Lazily, each by the time at which it is decoded; those of a source may be somewhat out of order.
        for _, packet in merge(ours, reader.packets(), key=itemgetter(0)):
            output.mux_one(packet)
        return reader.ends_early(whole.end)


def _add_streams(
    output: OutputContainer, source: InputContainer, whole: Whole
) -> tuple[VideoStream, dict[int, Stream]]:
    """Add the tracks in the source's order."""
    assert whole.source is not None
    main = main_video(whole.source, source)
    # Read by a file of their own: this one is read from its beginning.
    with open_input(whole.source) as again:
        pictures = picture_data(again, whole.tracks.copied)
    copies: dict[int, Stream] = {}
    video: VideoStream | None = None
    for stream in source.streams:
        if stream is main:
            video = _add_video(output, main, whole)
        elif stream.index in whole.tracks.copied:
            if is_picture(stream) and whole.container.muxer == "matroska":
                add_picture(output, stream, pictures.get(stream.index, b""))
                continue
            new = add_track(output, stream)
            if new is not None:
                if stream.language:
                    new.metadata["language"] = told_language(whole.container, stream.language)
                copies[stream.index] = new
    assert video is not None
    return video, copies


def _add_video(output: OutputContainer, main: VideoStream | None, whole: Whole) -> VideoStream:
    video = output.add_stream(whole.settings.encoder, rate=whole.settings.rate)
    assert isinstance(video, VideoStream)
    whole.settings.configure(video.codec_context)
    video.time_base = whole.settings.time_base
    if main is not None:
        video.metadata.update(tags(main.metadata, video=True))
        video.disposition = main.disposition
    if whole.alpha and whole.settings.encoder == "libvpx-vp9":
        video.metadata["alpha_mode"] = "1"
    if whole.matrix is not None:
        video.set_display_matrix(whole.matrix)
    return video


def _video_packets(
    segments: SegmentFolder, video: VideoStream, settings: EncoderSettings
) -> Iterator[_Timed]:
    """Give the packets of all segments with times that go on from one to the next."""
    shown = np.concatenate([outline.frames for outline in segments.outlines])
    durations = dict(shown.tolist())
    decoded = _decoding_times(
        np.concatenate([outline.packet_times for outline in segments.outlines]), shown[:, 0]
    )
    number = 0
    for segment in segments.all():
        if segment.extradata != (video.codec_context.extradata or b""):
            raise VideoError(
                f"{segments.path}: what was encoded before has another header than the encoder writes now; "
                "remove this folder and start again"
            )
        for packet in segment.packets:
            packet.stream = video
            packet.time_base = settings.time_base
            packet.dts = int(decoded[number])
            assert packet.pts is not None
            packet.duration = durations[packet.pts]
            number += 1
            yield packet.dts * settings.time_base, packet


def _decoding_times(pts: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when each packet is decoded: as late as can be for all of them, one after the other.

    Encoders reckon from their own first frames. Where frames come at uneven times, those of one segment would
    overlap with those of the one before.

    Args:
        pts: (N,) when the packets are shown, in the order of decoding.
        shown: (N,) the same in order.
    """
    # The packet at place n is decoded when the frame is shown that is ``delay`` places earlier.
    delay = int((np.arange(len(pts)) - np.searchsorted(shown, pts)).max())
    step = int(np.diff(shown).min()) if len(shown) > 1 else 1
    early = shown[0] - step * np.arange(delay, 0, -1)
    return np.concatenate([early, shown])[: len(pts)]


class _Copier:
    """Reads the packets that are copied, with their new times."""

    def __init__(
        self,
        source: InputContainer,
        copies: dict[int, Stream],
        origin: Fraction,
        length: Fraction | None,
        *,
        has_start: bool,
    ) -> None:
        self._source = source
        self._copies = copies
        self._origin = origin
        self._length = length
        self._has_start = has_start
        self._last = Fraction(0)
        self._failure: str | None = None
        # Of tracks whose packets have no durations, when the last packet was decoded.
        self._before: dict[int, int] = {}

    def packets(self) -> Iterator[_Timed]:
        """Read to the end."""
        reading = self._source.demux()
        while True:
            try:
                packet = next(reading, None)
            except av.FFmpegError as error:
                self._failure = reason(error)
                return
            if packet is None:
                return
            if not packet.size:
                continue
            if (copied := self._moved(packet)) is not None:
                yield copied

    def _moved(self, packet: Packet[Stream]) -> _Timed | None:
        base = packet.time_base
        shift = round(self._origin / base)
        at = packet.pts if packet.pts is not None else packet.dts
        stream = packet.stream
        end = Fraction(0) if at is None else (at + (packet.duration or 0)) * base
        if end > self._last:
            self._last = end
        new = self._copies.get(packet.stream_index)
        if new is None:
            return None
        picture = is_picture(stream)
        if at is not None and not picture:
            begin, end = at * base - self._origin, end - self._origin
            if self._length is not None and begin >= self._length:
                return None
            if self._has_start and begin < 0:
                if stream.type != "subtitle" or end <= 0:
                    return None
                # A line that is being shown at the start.
                packet.duration = round(end / base)
                packet.pts = packet.dts = shift
            if stream.type == "subtitle" and self._length is not None and end > self._length:
                packet.duration = round((self._length - max(begin, Fraction(0))) / base)
        if picture:
            packet.pts = packet.dts = 0
        else:
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = new
        decoded = packet.dts if packet.dts is not None else packet.pts
        if stream.type == "data" and not packet.duration and decoded is not None:
            # An MP4 file ends a track with its last packet's duration: of none, that packet would be hidden.
            packet.duration = max(1, decoded - self._before.get(packet.stream_index, decoded))
            self._before[packet.stream_index] = decoded
        return Fraction(0) if decoded is None else decoded * base, packet

    def ends_early(self, end: Fraction | None) -> str | None:
        """Say why the source ends too early, if it does."""
        source = self._source
        if self._failure is not None:
            return self._failure
        begin = Fraction(source.start_time or 0, av.time_base)
        if source.duration is None or _SAY_LENGTH.isdisjoint(source.format.name.split(",")):
            return None
        length = Fraction(source.duration, av.time_base)
        have = self._last - begin
        reaches_end = end is not None and have + _LENGTH_TOLERANCE >= end
        if reaches_end or have + _LENGTH_TOLERANCE >= length:
            return None
        return f"it is cut short: {float(have):.2f} s of {float(length):.2f} s are there"
