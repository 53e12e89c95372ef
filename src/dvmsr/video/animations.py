"""Writing animation formats of pictures from frames that wait without loss."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from dvmsr.video.encoding import EncoderSettings
from dvmsr.video.formats import Container
from dvmsr.video.libav import pulled, url
from dvmsr.video.pictures import FOR_EVER
from dvmsr.video.segments import SegmentFolder

_CENTISECOND = Fraction(1, 100)
_WEBP_QUALITY = 95
# Of WebP's container: before its chunks, and in a chunk ANMF before the delay, after its place and size.
_RIFF_HEADER_BYTES, _DELAY_OFFSET = 12, 12


def write_animation(
    path: Path,
    container: Container,
    segments: SegmentFolder,
    settings: EncoderSettings,
    *,
    alpha: bool,
    plays: int,
) -> None:
    """Write an animation.

    Args:
        path: Where.
        container: Its format.
        segments: Its frames, encoded without loss.
        settings: How they were encoded.
        alpha: Whether they have transparency.
        plays: How often it is to be played; 0 for ever.

    Raises:
        VideoError: A segment is damaged.
        av.FFmpegError: It cannot be written.
    """
    assert container.picture is not None
    last = segments.outlines[-1].frames[-1]
    options = _muxer_options(container, plays, int(last[1]) * settings.time_base)
    pixel_format = {"gif": "pal8", "apng": "rgba" if alpha else "rgb24"}.get(container.picture, "bgra")
    frames = _waiting_frames(segments, settings)
    if container.picture == "gif":
        frames = _with_palettes(frames, settings, alpha=alpha)
    with av.open(url(path), "w", format=container.muxer, options=options) as output:
        stream = output.add_stream(container.picture, rate=settings.rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, pixel_format
        stream.codec_context.time_base = settings.time_base
        if container.picture == "libwebp_anim":
            stream.options = {"quality": str(_WEBP_QUALITY)}
        reformatter = VideoReformatter()
        for frame in frames:
            pts = frame.pts
            frame = reformatter.reformat(frame, format=pixel_format)
            frame.pts, frame.time_base = pts, settings.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    if container.picture == "libwebp_anim":
        _set_last_delay(path, int(last[1]) * settings.time_base)


def _muxer_options(container: Container, plays: int, last: Fraction) -> dict[str, str]:
    """How often it is played, and how long its last frame is shown, after which no other tells it."""
    if container.muxer == "gif":
        # GIF counts the repetitions after the first time; without the count there are none.
        loop = plays if plays == FOR_EVER else plays - 1 or -1
        return {"loop": str(loop), "final_delay": str(max(1, round(last / _CENTISECOND)))}
    if container.muxer == "apng":
        return {"plays": str(plays), "final_delay": f"{last.numerator}/{last.denominator}"}
    return {"loop": str(plays)}


def _waiting_frames(segments: SegmentFolder, settings: EncoderSettings) -> Iterator[VideoFrame]:
    for segment in segments.all():
        decoder = av.CodecContext.create(settings.encoder, "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata = segment.extradata
        decoder.width, decoder.height, decoder.pix_fmt = (
            settings.width,
            settings.height,
            settings.pixel_format,
        )
        for packet in segment.packets:
            packet.time_base = settings.time_base
            yield from decoder.decode(packet)
        yield from decoder.decode(None)


def _with_palettes(
    frames: Iterator[VideoFrame], settings: EncoderSettings, *, alpha: bool
) -> Iterator[VideoFrame]:
    """Give each frame the 256 colours that suit it best."""
    graph = Graph()
    source = graph.add_buffer(
        width=settings.width,
        height=settings.height,
        format=av.VideoFormat(settings.pixel_format),
        time_base=settings.time_base,
    )
    split = graph.add("split")
    palette = graph.add("palettegen", f"stats_mode=single:reserve_transparent={int(alpha)}")
    use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for frame in frames:
        graph.vpush(frame)
        yield from pulled(graph)
    graph.vpush(None)
    yield from pulled(graph)


def _set_last_delay(path: Path, seconds: Fraction) -> None:
    """Say in a WebP file how long its last frame is shown: the encoder takes the mean of those before."""
    with path.open("r+b") as file:
        file.seek(_RIFF_HEADER_BYTES)
        last = None
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"ANMF":
                last = file.tell()
            file.seek(size + size % 2, 1)
        if last is not None:
            file.seek(last + _DELAY_OFFSET)
            file.write(round(seconds * 1000).to_bytes(3, "little"))
