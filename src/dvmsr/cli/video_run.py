"""A run over a video on the command line: what will be made, the work shown, the end summed up."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dvmsr.atomic import write_atomically
from dvmsr.cli.printing import printable, say
from dvmsr.cli.quantities import duration, size_of
from dvmsr.errors import ArgumentError
from dvmsr.inference.upscaler import Upscaler
from dvmsr.video import (
    UpscaledVideo,
    VideoOptions,
    VideoPlan,
    VideoProgress,
    is_finished,
    preview_video,
    upscale_video,
)

if TYPE_CHECKING:
    from dvmsr.cli.progress_bar import ProgressBar

_SECONDS_BETWEEN_LINES = 10.0
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
        say(f"finished before: {target}; --overwrite makes it again", error=True)
        return True
    shown = _Progress(source.name)
    try:
        with shown:
            done = upscale_video(upscaler, source, target, options, on_plan=_tell_plan, progress=shown.update)
    except (KeyboardInterrupt, SystemExit):
        if shown.kept:
            say(f"{shown.kept} frames are kept; the same command goes on after them", error=True)
        raise
    _tell_done(done)
    if report is not None:
        with write_atomically(report) as file:
            file.write(json.dumps({_REPORT_KEY: _as_json(done)}, indent=1).encode() + b"\n")
    if done.damage is not None:
        say(f"dvmsr: error: {source}: {done.damage}; what could be read is in {target}", error=True)
    return done.damage is None


def check_report(path: Path, source: Path, target: Path) -> None:
    """Find out before the work whether a report may be written: only an earlier one is replaced.

    Raises:
        ArgumentError: It may not.
    """
    if path.absolute() in (source.absolute(), target.absolute()):
        raise ArgumentError(f"{path}: is the video itself; choose another name for the report")
    if path.exists():
        try:
            is_report = _REPORT_KEY in json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, RecursionError):
            is_report = False
        if not is_report:
            raise ArgumentError(
                f"{path}: exists already and is no report; choose another name for the report"
            )
    if not path.absolute().parent.is_dir():
        raise ArgumentError(f"{path}: the report cannot be written: its folder is missing")


class _Progress:
    """Shows on standard error how far a video is: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = self._last_line = time.monotonic()
        self._bar: ProgressBar | None = None
        self.kept = 0
        """Frames that are done and kept."""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: VideoProgress) -> None:
        self.kept = progress.kept
        label = f"{printable(self._name)}, {size_of(progress.bytes)}"
        if sys.stderr is not None and sys.stderr.isatty():
            self._show_bar(label, progress)
            return
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = progress.fresh / (now - self._start)
        said = f"{label}: {progress.frames} frames, {rate:.3g} frames/s"
        if progress.total is not None:
            left = timedelta(seconds=round((progress.total - progress.frames) / rate))
            said = f"{label}: {progress.frames} of {progress.total} frames, {rate:.3g} frames/s, {left} left"
        say(said, error=True)

    def _show_bar(self, label: str, progress: VideoProgress) -> None:
        if self._bar is None:
            from dvmsr.cli.progress_bar import ProgressBar

            self._bar = ProgressBar(label, lambda frames: f"{frames:.3g} frames")
            self._bar.start()
        self._bar.update(label, progress.frames, progress.total)


def _tell_plan(plan: VideoPlan) -> None:
    facts, settings = plan.facts, plan.settings
    length = "" if facts.duration is None else f" for {duration(float(facts.duration))}"
    say(
        f"{plan.source}: {facts.width}x{facts.height} {facts.codec}, {float(facts.rate):.4g}/s{length} "
        f"-> {plan.width}x{plan.height} {plan.codec} ({settings.pixel_format}) in {plan.container.name}",
        error=True,
    )
    for note in plan.notes:
        say(f"  {note}", error=True)
    if plan.resumed:
        say(f"  goes on after {plan.resumed} frames that were done before", error=True)


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


def _as_json(done: UpscaledVideo) -> dict[str, object]:
    entry = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(done).items()}
    entry["duplicates"] = done.frames - done.computed
    return entry
