"""A run over a video on the command line: what will be made, the work shown, the end summed up."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from dvmsr.batch.forecast import seconds_per_pixel
from dvmsr.cli.printing import printable, say
from dvmsr.cli.progress_display import ProgressDisplay
from dvmsr.cli.quantities import duration, size_of
from dvmsr.errors import ArgumentError
from dvmsr.inference.upscaler import Upscaler
from dvmsr.reports import check_report, write_report
from dvmsr.video import (
    UpscaledVideo,
    VideoOptions,
    VideoPlan,
    VideoProgress,
    is_finished,
    preview_video,
    upscale_video,
)

_REPORT_KEY = "dvmsr video"


def run_preview(upscaler: Upscaler, source: Path, target: Path, count: int, options: VideoOptions) -> None:
    """Enlarge some frames, and name the pictures.

    Raises:
        DvmsrError: Nothing can be done.
    """
    begun = time.monotonic()
    for picture, comparison in preview_video(upscaler, source, target, count, options):
        say(f"{picture} ({comparison.name} shows before and after)")
    say(f"{count} frames in {duration(time.monotonic() - begun)}")


def run_video(
    upscaler: Upscaler, source: Path, target: Path, options: VideoOptions, report: Path | None
) -> bool:
    """Enlarge a video, and tell.

    Returns:
        Whether all of the source could be read.

    Raises:
        DvmsrError: Nothing can be done.
    """
    if not options.overwrite and is_finished(source, target):
        say(f"finished before: {target}; --overwrite makes it again, with other settings, too", error=True)
        return True
    shown = _Progress(source.name)
    try:
        with shown:
            done = upscale_video(
                upscaler,
                source,
                target,
                options,
                on_plan=lambda plan: _tell_plan(upscaler, plan, options),
                progress=shown.update,
            )
    except (KeyboardInterrupt, SystemExit):
        if shown.kept:
            say(f"{shown.kept} frames are kept; the same command goes on after them", error=True)
        raise
    _tell_done(done)
    if report is not None:
        write_report(report, {_REPORT_KEY: {**asdict(done), "duplicates": done.frames - done.computed}})
    if done.damage is not None:
        say(f"dvmsr: error: {source}: {done.damage}; what could be read is in {target}", error=True)
    return done.damage is None


def check_report_file(path: Path, source: Path, target: Path) -> None:
    """Find out before the work whether a report may be written: only an earlier one is replaced.

    Raises:
        ArgumentError: It may not.
    """
    if path.absolute() in (source.absolute(), target.absolute()):
        raise ArgumentError(f"{path}: is the video itself; choose another name for the report")
    check_report(path.absolute(), lambda content: _REPORT_KEY in content)


class _Progress:
    """Shows how far a video is, and remembers from where a run that is ended now goes on."""

    def __init__(self, name: str) -> None:
        self._name = printable(name)
        self._display = ProgressDisplay(self._name, lambda frames: f"{frames:.3g} frames")
        self._begun = False
        self.kept = 0
        """Frames that are done and kept."""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def update(self, progress: VideoProgress) -> None:
        if not self._begun:
            # Not before the lines that tell the plan.
            self._begun = True
            self._display.start()
        self.kept = progress.kept
        label = f"{self._name}, {size_of(progress.bytes)}"
        self._display.update(label, progress.frames, progress.total, fresh=progress.fresh)


def _tell_plan(upscaler: Upscaler, plan: VideoPlan, options: VideoOptions) -> None:
    facts = plan.facts
    length = "" if facts.duration is None else f" for {duration(float(facts.duration))}"
    turned = " (shown turned)" if plan.matrix is not None else ""
    source = f"{facts.width}x{facts.height}{turned} {facts.codec}"
    kind = f"{plan.codec} ({plan.settings.pixel_format}) in {plan.container.name}"
    if plan.container.picture is not None:
        kind = plan.container.name
    say(
        f"{plan.source}: {source}, {float(facts.rate):.4g}/s{length} -> {plan.width}x{plan.height} {kind}",
        error=True,
    )
    for note in plan.notes:
        say(f"  {note}", error=True)
    if plan.resumed:
        say(f"  goes on after {plan.resumed} frames that were done before", error=True)
    if upscaler.is_native:
        pixels = plan.network_pixels(upscaler.scale, options.alpha)
        say(f"  {_foretold(plan, pixels * seconds_per_pixel(upscaler))}", error=True)


def _foretold(plan: VideoPlan, seconds: float) -> str:
    """Say how long the network takes, each frame so many seconds."""
    if plan.facts.frames is None:
        return f"about {duration(seconds)} for each frame; how many there are the file does not tell"
    left = max(0, plan.facts.frames - plan.resumed)
    return f"about {left} frames, {duration(left * seconds)}; less where frames are the same"


def _tell_done(done: UpscaledVideo) -> None:
    fresh = done.frames - done.resumed
    rate = f", {fresh / done.seconds:.3g} frames/s" if fresh else ""
    say(
        f"{done.source} {done.width}x{done.height} -> "
        f"{done.target} {done.target_width}x{done.target_height}: "
        f"{done.frames} frames in {duration(done.seconds)}{rate}, {size_of(done.bytes)}"
    )
    same = done.frames - done.computed
    if same:
        say(
            f"  {same} of {done.frames} frames were the same as the one before and enlarged once, "
            f"which saved {same / done.frames:.0%} of the network's work"
        )
    for note in done.notes:
        say(f"  {note}")
