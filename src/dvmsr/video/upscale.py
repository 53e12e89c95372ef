"""Enlarging one video file."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dvmsr.atomic import publish, unfinished_file
from dvmsr.errors import VideoError
from dvmsr.inference.sized import network_of_size
from dvmsr.inference.upscaler import Upscaler
from dvmsr.targets import exists_error
from dvmsr.video.animations import write_animation
from dvmsr.video.encoding import SegmentEncoder
from dvmsr.video.libav import writing
from dvmsr.video.muxing import Whole, write_video
from dvmsr.video.options import VideoOptions
from dvmsr.video.pictures import FOR_EVER
from dvmsr.video.plan import VideoPlan, plan_video
from dvmsr.video.segments import SegmentFolder, version
from dvmsr.video.source import Damage, Frames
from dvmsr.video.stages import in_stages
from dvmsr.video.work import Continuation, Enlarger, PictureReader

_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class VideoProgress:
    """How far a video is."""

    frames: int
    """Frames that are done, those of earlier runs included."""

    total: int | None
    """About how many there are; None where the file does not tell."""

    fresh: int
    """Frames that this run has done."""

    kept: int
    """Frames from which a run that is ended now goes on."""

    bytes: int
    """Size of what is encoded so far."""


@dataclass(frozen=True)
class UpscaledVideo:
    """A video that has been enlarged."""

    source: Path
    target: Path
    width: int
    height: int
    target_width: int
    target_height: int
    frames: int
    """Frames of the new video."""

    computed: int
    """Those that went through the network; the others were each the same as the one before."""

    resumed: int
    """Those that an earlier run had done."""

    video_seconds: float
    """How long the video is."""

    seconds: float
    """Wall time of this run."""

    bytes: int
    """Size of the target."""

    codec: str
    pixel_format: str
    notes: tuple[str, ...] = ()
    """What is lost or was chosen, a line each."""

    damage: str | None = None
    """What of the source could not be read; what could is in the target."""


def upscale_video(
    upscaler: Upscaler,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: VideoOptions | None = None,
    *,
    on_plan: Callable[[VideoPlan], object] | None = None,
    progress: Callable[[VideoProgress], object] | None = None,
) -> UpscaledVideo:
    """Enlarge a video file into another.

    Frames are decoded, enlarged and encoded at the same time, a segment after the other; finished segments
    are kept in a hidden folder beside the target until all are there. A run that was ended in the middle,
    however it was, goes on when it is called again with the same arguments.

    Args:
        upscaler: The network.
        source: The video.
        target: The file to write, its format by its suffix.
        options: How it is enlarged and written.
        on_plan: Called with what will be made, before the work.
        progress: Called after every frame.

    Returns:
        What was done. Where the source is damaged, ``damage`` says so; the target holds what could be read.

    Raises:
        VideoError: The source cannot be read, or the target not written.
        ArgumentError: What is asked for does not go together.
    """
    begun = time.monotonic()
    options = options or VideoOptions()
    source, target = Path(source), Path(target)
    frames, plan = plan_video(upscaler, source, target, options)
    with closing(SegmentFolder(target, _job(upscaler, source, plan, options))) as segments:
        done = _done(segments)
        resumed = done.frames if done is not None else 0
        if on_plan is not None:
            on_plan(replace(plan, resumed=resumed))
        reader = PictureReader(frames, alpha=plan.keeps_alpha, matrix=plan.turned)
        _make_segments(upscaler, plan, options, segments, reader, done, progress)
        if segments.count == 0:
            segments.remove()
            raise VideoError(f"{source}: there is no frame in what was asked for")
        damage = _finish(frames, plan, options, segments, target)
        segments.remove()
    total = segments.outlines
    last_pts, last_duration = total[-1].frames[-1]
    notes = list(plan.notes)
    if reader.transparency_lost:
        notes.append(f"transparency became white: {plan.container.name} with {plan.codec} has none")
    if frames.damage.resized:
        size = f"{plan.facts.width}x{plan.facts.height}"
        notes.append(
            f"frames came in other sizes than the first, {size}, and were fitted into it: "
            f"{frames.damage.resized}"
        )
    return UpscaledVideo(
        source=source,
        target=target,
        width=plan.facts.width,
        height=plan.facts.height,
        target_width=plan.width,
        target_height=plan.height,
        frames=sum(len(outline.frames) for outline in total),
        computed=sum(outline.computed for outline in total),
        resumed=resumed,
        video_seconds=float(int(last_pts + last_duration) * plan.facts.time_base),
        seconds=time.monotonic() - begun,
        bytes=target.stat().st_size,
        codec=plan.codec,
        pixel_format=plan.settings.pixel_format,
        notes=tuple(notes),
        damage=damage,
    )


def _make_segments(
    upscaler: Upscaler,
    plan: VideoPlan,
    options: VideoOptions,
    segments: SegmentFolder,
    reader: PictureReader,
    done: Continuation | None,
    progress: Callable[[VideoProgress], object] | None,
) -> None:
    facts = plan.facts
    before = done.frames if done is not None else 0
    if before % plan.segment_frames:
        # Only the last segment has less.
        return
    enlarge = Enlarger(upscaler, plan.shown, (plan.width, plan.height), options.alpha)
    fresh = 0

    def tell(encoded: int) -> None:
        nonlocal fresh
        fresh += 1
        if progress is not None:
            total = None if facts.frames is None else max(facts.frames, before + fresh)
            kept = segments.count * plan.segment_frames
            progress(VideoProgress(before + fresh, total, fresh, kept, segments.size + encoded))

    encoder = SegmentEncoder(plan.settings, plan.segment_frames, segments.add, tell)
    with writing(plan.target):
        in_stages(reader.pictures(done), enlarge, encoder.encode)


def _finish(
    frames: Frames, plan: VideoPlan, options: VideoOptions, segments: SegmentFolder, target: Path
) -> str | None:
    """Put the segments together, and give the file its name. Return what of the source could not be read."""
    source, facts = plan.source, plan.facts
    cut: str | None = None
    resolved = target.resolve()
    with writing(target), unfinished_file(resolved.parent, resolved.suffix) as partial:
        if plan.container.picture is not None:
            plays = FOR_EVER if facts.plays is None else facts.plays
            write_animation(
                partial, plan.container, segments, plan.settings, alpha=plan.keeps_alpha, plays=plays
            )
        else:
            whole = Whole(
                source=source if frames.has_tracks else None,
                container=plan.container,
                settings=plan.settings,
                tracks=plan.tracks,
                origin=frames.origin,
                start=options.start,
                end=options.end,
                matrix=plan.matrix,
                alpha=plan.keeps_alpha,
            )
            cut = write_video(partial, whole, segments)
        damage = _damage(frames.damage, sum(outline.damaged for outline in segments.outlines), cut)
        if damage is None:
            # So that a later run sees that it is of this source, as it is then.
            times = source.stat()
            os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))
        try:
            publish(partial, resolved, overwrite=options.overwrite)
        except FileExistsError as error:
            raise exists_error(target, VideoError) from error
    return damage


def _done(segments: SegmentFolder) -> Continuation | None:
    """Return where the kept segments end."""
    if segments.count == 0:
        return None
    frames = sum(len(outline.frames) for outline in segments.outlines)
    last = segments.outlines[-1]
    return Continuation(frames, int(last.frames[-1][0]), last.checksum)


def _job(upscaler: Upscaler, source: Path, plan: VideoPlan, options: VideoOptions) -> dict[str, Any]:
    """Return all that the segments depend on."""
    facts = source.stat()
    with source.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return {
        "source": [source.name, facts.st_size, facts.st_mtime_ns, head],
        "network": network_of_size(upscaler, plan.shown, (plan.width, plan.height)).fingerprint,
        "settings": {name: _plain(value) for name, value in asdict(plan.settings).items()},
        "options": {name: _plain(value) for name, value in asdict(options).items() if name != "overwrite"},
        "segment_frames": plan.segment_frames,
        "libraries": version(),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (dict, int, str, type(None))) else str(value)


def _damage(damage: Damage, damaged: int, cut: str | None) -> str | None:
    """Say what of a source could not be read, if anything."""
    said = []
    if damage.cut or cut:
        said.append(damage.cut or cut or "")
    if damaged:
        said.append(f"{damaged} of its packets or frames are damaged")
    return "; ".join(said) or None
