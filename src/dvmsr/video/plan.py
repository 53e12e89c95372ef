"""What will be made of a video, and all that would stop it, before the work."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av import VideoFormat

from dvmsr.errors import VideoError, setting
from dvmsr.images.limits import MAX_PIXELS, check_memory, check_pixels
from dvmsr.inference.sized import Size, pass_sizes
from dvmsr.inference.upscaler import Upscaler
from dvmsr.targets import check_target
from dvmsr.video import orientation
from dvmsr.video.colour import has_alpha
from dvmsr.video.encoding import EncoderSettings
from dvmsr.video.formats import (
    LOSSLESS,
    Container,
    choose_encoder,
    choose_pixel_format,
    container_of,
    encoder_options,
    tells_aspect,
)
from dvmsr.video.options import VideoOptions
from dvmsr.video.pictures import open_video
from dvmsr.video.source import Facts, Frames
from dvmsr.video.tracks import Tracks, check_video, plan_tracks

# A segment is about half a minute of work for two cores, and two to ten seconds of a video.
_SEGMENT_PIXELS = 6_000_000
_LEAST_FRAMES, _MOST_FRAMES = 48, 240
# Frames between the stages and in the engine's hands, and in those of an encoder that looks ahead.
_FRAMES_AT_ONCE, _FRAMES_IN_ENCODER = 6, 64
_ENGINE_COLUMN_BYTES = 30 << 10


@dataclass(frozen=True)
class VideoPlan:
    """What will be made, and of what."""

    source: Path
    target: Path
    facts: Facts
    width: int
    """Columns of the new video as stored."""

    height: int
    """Rows of the new video as stored."""

    container: Container
    settings: EncoderSettings
    codec: str
    """What people call the new video's codec."""

    tracks: Tracks
    keeps_alpha: bool
    shown: Size
    """Columns and rows of the pictures that the network gets."""

    matrix: orientation.Matrix | None
    """How the new video is turned when it is shown."""

    turned: orientation.Matrix | None
    """How its pixels are turned."""

    segment_frames: int
    """Frames in a segment, of which all but the last have as many."""

    notes: tuple[str, ...]
    """What is lost or was chosen, a line each."""

    resumed: int = 0
    """Frames that an earlier run has done."""

    def network_pixels(self, scale: int, alpha: str) -> int:
        """Return how many pixels the network gets for a frame, in all passes.

        Args:
            scale: By how much the network enlarges.
            alpha: How transparency is enlarged.
        """
        passes = pass_sizes(self.shown, (self.width, self.height), scale)
        times = 2 if self.keeps_alpha and alpha == "network" else 1
        return times * sum(width * height for width, height in passes)


def plan_video(
    upscaler: Upscaler, source: Path, target: Path, options: VideoOptions
) -> tuple[Frames, VideoPlan]:
    """Find out what will be made, and all that would stop it, before the work.

    Args:
        upscaler: The network.
        source: The video.
        target: The file to write, its format by its suffix.
        options: What is asked for.

    Returns:
        The opened source, and the plan.

    Raises:
        VideoError: The source cannot be read, or the target not written.
        ArgumentError: What is asked for does not go together.
    """
    container = container_of(target)
    check_target(target, VideoError, overwrite=options.overwrite, source=source)
    frames = open_video(source, options)
    facts = frames.facts
    check_pixels(source, facts.width, facts.height, MAX_PIXELS)
    turned = facts.matrix if _turns_pixels(facts, container, options) else None
    stored = (facts.width, facts.height)
    shown = stored[::-1] if turned is not None and orientation.swaps_sides(turned) else stored
    size = _target_size(upscaler, shown, options)
    alpha = facts.alpha
    deep = facts.deep and container.picture is None
    encoder = choose_encoder(container, *size, deep=deep, alpha=alpha, asked=options.codec)
    pixel_format = choose_pixel_format(encoder, container, deep=deep, alpha=alpha, asked=options.pixel_format)
    alpha = alpha and has_alpha(VideoFormat(pixel_format))
    notes = _notes(facts, container, options, deep=deep, turned=turned is not None)
    pixel_aspect = _pixel_aspect(facts, turned)
    if pixel_aspect != 1 and not tells_aspect(container, encoder):
        size = _square(size, pixel_aspect)
        pixel_aspect = Fraction(1)
        notes.append(f"the pixels became square: {encoder.codec} in {container.name} cannot tell otherwise")
    if container.picture is None:
        size = _even(size, pixel_format)
        parameters = facts.hdr.parameters(encoder.name) if facts.hdr is not None else []
        if facts.hdr is not None and not parameters:
            notes.append(f"lost: what HDR10 says of the mastering display, which {encoder.name} cannot write")
        told = encoder_options(encoder, pixel_format, options.crf, options.preset, parameters)
        name = encoder.name
    else:
        encoder_options(encoder, pixel_format, options.crf, options.preset, [])
        told = encoder_options(LOSSLESS, pixel_format, None, None, [])
        name = LOSSLESS.name
    settings = EncoderSettings(
        encoder=name,
        pixel_format=pixel_format,
        width=size[0],
        height=size[1],
        time_base=facts.time_base,
        rate=facts.rate,
        pixel_aspect=pixel_aspect,
        colour=facts.colour,
        options=told,
        # What Apple's players ask for.
        tag="hvc1" if container.muxer in ("mp4", "mov") and encoder.codec == "H.265" else None,
    )
    # Refused here, and not after the first frame.
    settings.open()
    if container.picture is None:
        check_video(container, settings)
    tracks = Tracks((), dict(container.options), ())
    if frames.has_tracks:
        tracks = plan_tracks(source, container)
    matrix = None
    if facts.matrix is not None and turned is None and container.turns:
        matrix = _scaled_matrix(facts.matrix, stored, size)
    check_memory(source, _memory(size, shown[0], deep=facts.deep))
    return frames, VideoPlan(
        source=source,
        target=target,
        facts=facts,
        width=size[0],
        height=size[1],
        container=container,
        settings=settings,
        codec=encoder.codec,
        tracks=tracks,
        keeps_alpha=alpha,
        shown=shown,
        matrix=matrix,
        turned=turned,
        segment_frames=options.segment_frames or _segment_frames(facts),
        notes=(*facts.notes, *notes, *tracks.notes),
    )


def is_finished(source: Path, target: Path) -> bool:
    """Return whether a target was made of all of a source as it is now: then it has the same time."""
    try:
        return target.stat().st_mtime_ns == source.stat().st_mtime_ns and not target.samefile(source)
    except OSError:
        return False


def _turns_pixels(facts: Facts, container: Container, options: VideoOptions) -> bool:
    if facts.matrix is None or not (options.apply_rotation or not container.turns):
        return False
    if not orientation.is_right_angled(facts.matrix):
        raise VideoError(
            "the video is turned by no quarter of a circle; keep that as a flag, in an MP4 or Matroska file"
        )
    return True


def _target_size(upscaler: Upscaler, shown: Size, options: VideoOptions) -> Size:
    if options.size is None:
        return upscaler.scale * shown[0], upscaler.scale * shown[1]
    return options.size.of(*shown)


def _even(size: Size, pixel_format: str) -> Size:
    """Round to whole samples of chroma."""
    chroma = VideoFormat(pixel_format, 1 << 10, 1 << 10)
    steps = ((1 << 10) // chroma.chroma_width(), (1 << 10) // chroma.chroma_height())
    return tuple(max(step, round(side / step) * step) for side, step in zip(size, steps, strict=True))  # type: ignore[return-value]


def _notes(
    facts: Facts, container: Container, options: VideoOptions, *, deep: bool, turned: bool
) -> list[str]:
    notes = []
    way = setting("--deinterlace", "deinterlace=True")
    if facts.interlaced and not options.deinterlace:
        notes.append(f"it is interlaced: the comb of its two fields is enlarged, too; {way} joins them")
    if facts.deep and not deep:
        notes.append(f"more than 8 bits were rounded to 8, as {container.name} has no more")
    if facts.colour.hdr is not None and container.picture is not None:
        notes.append(
            f"{facts.colour.hdr} colours look dull in {container.name}, which cannot say that they are"
        )
    if turned and not options.apply_rotation:
        notes.append(f"the pixels were turned, as {container.name} cannot say how the video is turned")
    return notes


def _pixel_aspect(facts: Facts, turned: orientation.Matrix | None) -> Fraction:
    if turned is not None and orientation.swaps_sides(turned):
        return 1 / facts.pixel_aspect
    return facts.pixel_aspect


def _square(size: Size, aspect: Fraction) -> Size:
    """Return the size in square pixels; the longer way of a pixel gets shorter."""
    width, height = size
    return (round(width * aspect), height) if aspect < 1 else (width, round(height / aspect))


def _scaled_matrix(matrix: orientation.Matrix, stored: Size, size: Size) -> orientation.Matrix:
    across, down = size[0] / stored[0], size[1] / stored[1]
    if orientation.swaps_sides(matrix):
        across, down = down, across
    return orientation.scaled(matrix, across, down)


def _memory(size: Size, columns: int, *, deep: bool) -> int:
    """About how many bytes a run takes."""
    sample = 2 if deep else 1
    pixels = size[0] * size[1] * sample
    return pixels * (4 * _FRAMES_AT_ONCE + 3 * _FRAMES_IN_ENCODER // 2) + columns * _ENGINE_COLUMN_BYTES


def _segment_frames(facts: Facts) -> int:
    return min(max(_SEGMENT_PIXELS // (facts.width * facts.height), _LEAST_FRAMES), _MOST_FRAMES)
