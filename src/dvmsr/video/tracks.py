"""All of a file but the video that is enlarged: sound, subtitles, data, pictures, chapters and tags."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from dvmsr.errors import ArgumentError, setting
from dvmsr.video.encoding import EncoderSettings
from dvmsr.video.formats import CONTAINERS, Container
from dvmsr.video.libav import open_input, same_priority
from dvmsr.video.source import main_video

if TYPE_CHECKING:
    from av.container.core import Chapter

# What belongs to the file that was, and would be wrong of the new one.
_STALE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_STALE_OF_VIDEO = {"rotate", "vendor_id", "alpha_mode", "bps", "number_of_frames", "number_of_bytes"}
# What MP4 and QuickTime files have places of their own for; others only in QuickTime's list of keys.
_MP4_TAGS = {
    "album",
    "album_artist",
    "artist",
    "comment",
    "composer",
    "copyright",
    "creation_time",
    "date",
    "description",
    "disc",
    "encoding_tool",
    "episode_id",
    "episode_sort",
    "gapless_playback",
    "genre",
    "grouping",
    "hd_video",
    "keywords",
    "lyrics",
    "media_type",
    "network",
    "performer",
    "purchase_date",
    "season_number",
    "show",
    "sort_name",
    "synopsis",
    "timecode",
    "title",
    "track",
}
_QUICKTIME_LANGUAGES = {"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi"}
# What else may hold a track, the likeliest first.
_ALTERNATIVES = (".mkv", ".mov")
_PICTURE_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


@dataclass(frozen=True)
class Tracks:
    """What goes from a file into another beside the video."""

    copied: tuple[int, ...]
    """Indices of the source's streams that are copied."""

    options: dict[str, str]
    """What the muxer is told."""

    notes: tuple[str, ...]
    """What is left out, a line each."""


def plan_tracks(path: Path, container: Container) -> Tracks:
    """Find out what a new file can hold of a source, by writing the beginning of one for each track.

    Args:
        path: The source.
        container: The kind of the new file.

    Raises:
        VideoError: The source cannot be opened.
    """
    copied, notes = [], []
    options = dict(container.options)
    with open_input(path) as source:
        video = main_video(path, source)
        if container.picture is not None:
            if len(source.streams) > 1:
                notes.append(f"left out: all but the frames, as {container.name} holds nothing else")
            return Tracks((), options, tuple(notes))
        for stream in source.streams:
            if stream is video or _is_made_anew(stream, video):
                continue
            if _can_hold(container, stream):
                copied.append(stream.index)
            else:
                better = next((each for each in _ALTERNATIVES if _can_hold(CONTAINERS[each], stream)), None)
                advice = f"; a {better} file can" if better else ""
                notes.append(f"left out: {describe(stream)}, which {container.name} cannot hold{advice}")
        if container.muxer in ("mp4", "mov"):
            more = {name for name in tags(source.metadata) if name.lower() not in _MP4_TAGS}
            if more and any(is_picture(source.streams[index]) for index in copied):
                names = ", ".join(sorted(more))
                notes.append(f"left out: the tags {names}, beside a cover picture in {container.name}")
            elif more:
                options["movflags"] = options.get("movflags", "") + "+use_metadata_tags"
    return Tracks(tuple(copied), options, tuple(notes))


def describe(stream: Stream) -> str:
    """Name a track for people."""
    kind = {"audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    if is_picture(stream):
        kind = "cover picture"
    said = [stream.codec_context.name if stream.codec_context is not None else stream.name, stream.language]
    return f"track {stream.index} ({', '.join([kind, *(each for each in said if each and each != 'und')])})"


def told_language(container: Container, language: str) -> str:
    """Return a language as a file tells it: QuickTime has some by their older names (ISO 639-2/B)."""
    return _QUICKTIME_LANGUAGES.get(language, language) if container.muxer == "mov" else language


def add_track(output: OutputContainer, stream: Stream) -> Stream | None:
    """Add a track like another to a file that is not begun.

    Returns:
        The new track; None of a picture that has become an attachment, and is there as a whole.

    Raises:
        ValueError: The file cannot hold it.
        av.FFmpegError: As ValueError.
    """
    if isinstance(stream, AttachmentStream):
        output.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
        return None
    new = output.add_stream_from_template(stream, opaque=True)
    new.metadata.update(tags(stream.metadata))
    new.disposition = stream.disposition
    return new


def add_picture(output: OutputContainer, stream: Stream, data: bytes) -> None:
    """Add a cover picture as an attachment, which it is in Matroska files."""
    name, kind = _PICTURE_TYPES.get(stream.codec_context.name, ("cover", "application/octet-stream"))
    output.add_attachment(stream.metadata.get("filename", name), stream.metadata.get("mimetype", kind), data)


def picture_data(source: InputContainer, indices: tuple[int, ...]) -> dict[int, bytes]:
    """Read the cover pictures among some streams, each of which is one packet."""
    wanted = {index for index in indices if is_picture(source.streams[index])}
    found: dict[int, bytes] = {}
    with suppress(av.FFmpegError):
        for packet in source.demux([source.streams[index] for index in wanted]) if wanted else ():
            if packet.size:
                found.setdefault(packet.stream_index, bytes(packet))
            if found.keys() == wanted:
                break
    return found


def tags(metadata: dict[str, str], *, video: bool = False) -> dict[str, str]:
    """Return the tags that hold of a new file, too, or of its video track."""
    kept = {}
    for name, value in metadata.items():
        plain = name.lower().partition("-")[0]
        if plain in _STALE or name.startswith("_STATISTICS_"):
            continue
        if not (video and plain in _STALE_OF_VIDEO):
            kept[name] = value
    return kept


def moved_chapters(source: InputContainer, origin: Fraction, length: Fraction | None) -> list[Chapter]:
    """Return the chapters as they are from ``origin`` on, for so many seconds."""
    moved: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, av.time_base)
        shift = round(origin / base)
        start, end = max(0, chapter["start"] - shift), chapter["end"] - shift
        if length is not None:
            end = min(end, round(length / base))
        if end > start or (end == start == 0 and shift == 0):
            moved.append(
                {
                    "id": chapter["id"],
                    "start": start,
                    "end": end,
                    "time_base": base,
                    "metadata": chapter["metadata"],
                }
            )
    return moved


def is_picture(stream: Stream) -> bool:
    """Return whether a stream is a cover picture."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def _is_made_anew(stream: Stream, video: Stream) -> bool:
    """Whether the muxer makes a track: that of the time code, and the one in which MP4 keeps chapters."""
    timecode = "timecode" in video.metadata and "timecode" in stream.metadata
    return stream.type == "data" and (timecode or stream.discard == Discard.all)


def check_video(container: Container, settings: EncoderSettings) -> None:
    """Check that a kind of file can hold what an encoder writes, by writing the beginning of one.

    Raises:
        ArgumentError: It cannot.
    """
    try:
        with same_priority(), _beginning(container) as output:
            video = output.add_stream(settings.encoder, rate=settings.rate)
            assert isinstance(video, VideoStream)
            settings.configure(video.codec_context)
            output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        codec, name = setting("--codec", "codec"), container.name
        raise ArgumentError(
            f"{name} files cannot hold what {settings.encoder} writes; choose another {codec}, or a .mkv file"
        ) from error


@contextmanager
def _beginning(container: Container) -> Iterator[OutputContainer]:
    """Give a file that goes nowhere, of which no more than a beginning is written."""
    output = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        yield output
    finally:
        # A file of one track without a packet need not be a good one.
        with suppress(av.FFmpegError, ValueError):
            output.close()


def _can_hold(container: Container, stream: Stream) -> bool:
    try:
        if is_picture(stream) and container.muxer == "matroska":
            return True
        with _beginning(container) as output:
            add_track(output, stream)
            output.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True
