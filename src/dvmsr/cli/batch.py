"""A run over image files on the command line: the plan told, the work shown, the end summed up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvmsr.batch import BatchPlan, BatchReport, Done, Failed, plan_files, run_tasks
from dvmsr.cli.printing import say
from dvmsr.cli.progress import RunProgress
from dvmsr.cli.quantities import duration, megapixels
from dvmsr.cli.summary import print_summary, tell_passed_over
from dvmsr.inference.files import FileOptions
from dvmsr.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Settings:
    """What a run was asked for."""

    options: FileOptions
    output: Path | None = None
    suffix: str | None = None
    recursive: bool = False
    report: Path | None = None
    profile: bool = False
    debug: bool = False


def run_batch(upscaler: Upscaler, inputs: Sequence[str], settings: Settings) -> BatchReport:
    """Plan, tell, enlarge, sum up.

    Args:
        upscaler: The network.
        inputs: What was named on the command line.
        settings: What was asked for.

    Returns:
        What became of every file.

    Raises:
        DvmsrError: Nothing can be done; or there is but one file, and it failed.
    """
    options = settings.options
    plan = plan_files(
        inputs,
        settings.output,
        scale=upscaler.scale,
        options=options,
        suffix=settings.suffix,
        recursive=settings.recursive,
    )
    single = len(plan.tasks) + len(plan.failed) + len(plan.finished) == 1 and not plan.passed_over
    report = BatchReport.of_plan(plan)
    start = time.monotonic()
    try:
        _tell_plan(plan, debug=settings.debug)
        _enlarge(upscaler, plan, report, settings)
    finally:
        if settings.report is not None:
            report.write(
                settings.report, {"size": options.size.tag if options.size else f"x{upscaler.scale}"}
            )
    if not single:
        print_summary(report, time.monotonic() - start)
    return report


def _tell_plan(plan: BatchPlan, *, debug: bool) -> None:
    tell_passed_over(plan.passed_over)
    for failure in plan.failed:
        if debug and failure.cause is not None:
            raise failure.cause
        say(f"dvmsr: error: {failure.message}", error=True)
    if plan.finished:
        some = plan.finished[0].target if len(plan.finished) == 1 else f"{len(plan.finished)} images"
        say(f"finished before: {some}; --overwrite makes them again", error=True)


def _enlarge(upscaler: Upscaler, plan: BatchPlan, report: BatchReport, settings: Settings) -> None:
    events = run_tasks(
        upscaler,
        plan.tasks,
        settings.options,
        profile=settings.profile,
        hashes=settings.report is not None,
    )
    with RunProgress(plan.tasks) as progress:
        for event in events:
            progress.update(event)
            if isinstance(event, Failed):
                if settings.debug:
                    raise event.error
                report.add(event)
                say(f"dvmsr: error: {event.failure.message}", error=True)
            elif isinstance(event, Done):
                report.add(event)
                _tell_done(event)


def _tell_done(done: Done) -> None:
    file = done.file
    say(
        f"{file.source} {file.width}x{file.height} -> {file.target} {file.target_width}x{file.target_height} "
        f"in {duration(file.seconds)} ({megapixels(file.width * file.height / file.seconds)}/s)"
    )
    for note in file.notes:
        say(f"  {note}")
    if done.profile is not None:
        from dvmsr.cli.profile import print_profile

        print_profile(done.profile)
