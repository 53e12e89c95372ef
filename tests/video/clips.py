"""Real clips, made by FFmpeg's libraries, with whatever a test needs in them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, VideoFrame

RATE = 8000


@dataclass
class Clip:
    """What is to be in a clip."""

    path: Path
    frames: int = 12
    width: int = 32
    height: int = 16
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    time_base: Fraction = Fraction(1, 1000)
    times: list[int] | None = None
    """Ticks at which the frames are shown; by default 25 a second."""
    held: int = 1
    """How many frames in a row are the same."""
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    setup: dict[str, object] = field(default_factory=dict)
    """Attributes of the encoder."""
    matrix: tuple[int, ...] | None = None
    audio: list[dict[str, str]] = field(default_factory=list)
    """Metadata of each audio track; track n is a tone of 100 (n + 1) Hz that begins with a click."""
    audio_codec: str = "aac"
    audio_start: int = 0
    """Samples by which the sound begins later."""
    subtitles: list[tuple[int, int, str]] = field(default_factory=list)
    """Start and duration in milliseconds, and text."""
    chapters: list[tuple[int, int, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    attachment: bytes = b""
    cover: bytes = b""

    def picture(self, number: int) -> np.ndarray:
        """(H, W, 4) of uint8: a bar that moves over a gradient; transparent on the left."""
        number //= self.held
        image = np.zeros((self.height, self.width, 4), np.uint8)
        image[..., 0] = np.linspace(40, 200, self.width)[None]
        image[..., 1] = np.linspace(60, 180, self.height)[:, None]
        image[..., 2] = 128
        image[:, (3 * number) % self.width : (3 * number) % self.width + 4, :3] = (230, 30, 40)
        image[..., 3] = 255
        image[:, : self.width // 4, 3] = 0
        return image

    def shown(self) -> list[int]:
        """Ticks at which the frames are shown."""
        if self.times is not None:
            return self.times
        return [round(number / 25 / self.time_base) for number in range(self.frames)]

    def make(self) -> Path:
        with av.open(str(self.path), "w", options=self.container_options) as output:
            video = output.add_stream(self.codec, rate=25, options=self.options)
            video.width, video.height, video.pix_fmt = self.width, self.height, self.pixel_format
            video.codec_context.time_base = video.time_base = self.time_base
            for name, value in self.setup.items():
                setattr(video.codec_context, name, value)
            if self.matrix is not None:
                video.set_display_matrix(self.matrix)
            if "yuva" in self.pixel_format and self.codec.startswith("libvpx"):
                video.metadata["alpha_mode"] = "1"
            tracks = []
            for metadata in self.audio:
                track = output.add_stream(self.audio_codec, rate=RATE, layout="mono")
                track.metadata.update(metadata)
                tracks.append(track)
            text = output.add_mux_stream("subrip") if self.subtitles else None
            if text is not None:
                text.metadata["language"] = "eng"
                text.time_base = Fraction(1, 1000)
            if self.attachment:
                output.add_attachment("font.ttf", "font/ttf", self.attachment)
            if self.cover:
                if self.path.suffix == ".mkv":
                    output.add_attachment("cover.png", "image/png", self.cover)
                else:
                    picture = output.add_stream("png", rate=1)
                    picture.width = picture.height = 8
                    picture.pix_fmt = "rgb24"
                    picture.disposition = av.stream.Disposition.attached_pic
            output.metadata.update(self.metadata)
            output.set_chapters(
                [
                    {
                        "id": i,
                        "start": a,
                        "end": b,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": name},
                    }
                    for i, (a, b, name) in enumerate(self.chapters, start=1)
                ]
            )
            output.start_encoding()
            if self.cover and self.path.suffix != ".mkv":
                packet = av.Packet(self.cover)
                packet.stream, packet.pts, packet.dts = picture, 0, 0
                output.mux(packet)
            self._write(output, video, tracks, text)
        return self.path

    def _write(self, output, video, tracks, text) -> None:
        packets = []
        times = self.shown()
        for number, ticks in enumerate(times):
            frame = VideoFrame.from_ndarray(self.picture(number), format="rgba")
            frame = frame.reformat(format=self.pixel_format, dst_colorspace="itu709")
            frame.pts, frame.time_base = ticks, self.time_base
            packets += video.encode(frame)
        packets += video.encode(None)
        seconds = float((times[-1] - times[0]) * self.time_base) + 0.04
        for number, track in enumerate(tracks):
            for start in range(0, int(seconds * RATE), 1024):
                at = (np.arange(1024) + start) / RATE
                samples = 0.3 * np.sin(2 * np.pi * 100 * (number + 1) * at)
                samples[at < 0.01] = 0.99
                frame = AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
                frame.sample_rate, frame.pts = RATE, start + self.audio_start
                frame.time_base = Fraction(1, RATE)
                packets += track.encode(frame)
            packets += track.encode(None)
        for start, duration, line in self.subtitles:
            packet = av.Packet(line.encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = duration
            packets.append(packet)
        packets.sort(key=lambda p: float((p.dts if p.dts is not None else p.pts) * p.time_base))
        output.mux(packets)


@dataclass
class Read:
    """What is in a file."""

    times: list[float]
    """Seconds at which the video's frames are shown."""
    durations: list[float]
    frames: list[VideoFrame]
    packets: dict[int, list[tuple[float, bytes]]]
    """Of each other stream the seconds and bytes of its packets."""
    streams: list[dict[str, object]]
    chapters: list[tuple[float, float, str]]
    metadata: dict[str, str]


def read(path: Path) -> Read:
    """Read a file back; its video is the first that is no cover."""
    with av.open(str(path)) as source:
        main = next(s for s in source.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        frames: list[VideoFrame] = []
        packets: dict[int, list[tuple[float, bytes]]] = {}
        decoder = main.codec_context
        if ("alpha_mode", "1") in {(k.lower(), v) for k, v in main.metadata.items()}:
            decoder = av.CodecContext.create("libvpx-vp9", "r")
        for packet in source.demux():
            if packet.stream is main:
                frames += decoder.decode(packet if packet.size else None)
            elif packet.size:
                at = packet.pts if packet.pts is not None else packet.dts
                seconds = 0.0 if at is None else float(at * packet.time_base)
                packets.setdefault(packet.stream_index, []).append((seconds, bytes(packet)))
        streams = [
            {
                "type": s.type,
                "codec": s.codec_context.name if s.codec_context is not None else s.name,
                "metadata": dict(s.metadata),
                "disposition": s.disposition,
                "data": s.data if s.type == "attachment" else b"",
                "main": s is main,
                "tag": s.codec_context.codec_tag if s.codec_context is not None else "",
                "aspect": s.sample_aspect_ratio if s.type == "video" else None,
            }
            for s in source.streams
        ]
        chapters = [
            (
                float(c["start"] * c["time_base"]),
                float(c["end"] * c["time_base"]),
                c["metadata"].get("title", ""),
            )
            for c in source.chapters()
        ]
        base = main.time_base
        return Read(
            [float(f.pts * (f.time_base or base)) for f in frames],
            [float(f.duration * (f.time_base or base)) for f in frames],
            frames,
            packets,
            streams,
            chapters,
            dict(source.metadata),
        )


def rgb(frame: VideoFrame) -> np.ndarray:
    """(H, W, 3) of a frame, for looks at single colours."""
    return frame.to_ndarray(format="rgb24")


def matrix_of(degrees_clockwise: int, width: int, height: int) -> tuple[int, ...]:
    """Return the display matrix of phones' videos: turned, and moved back into the picture."""
    one, w = 1 << 16, 1 << 30
    return {
        90: (0, one, 0, -one, 0, 0, height * one, 0, w),
        180: (-one, 0, 0, 0, -one, 0, width * one, height * one, w),
        270: (0, -one, 0, one, 0, 0, 0, width * one, w),
    }[degrees_clockwise]


def mastering(frame: VideoFrame) -> tuple[int, ...] | None:
    """The numbers of a frame's mastering display."""
    for side in frame.side_data:
        if side.type.name == "MASTERING_DISPLAY_METADATA":
            return struct.unpack_from("<22i", bytes(side))
    return None
