"""A run over image files on the command line: the plan told, the work shown, the end summed up."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dvmsr.batch import (
    BatchPlan,
    BatchReport,
    Done,
    Failed,
    Forecast,
    foretell,
    leave_out_what_cannot_fit,
    plan_files,
    run_tasks,
)
from dvmsr.batch.events import TaskEvent
from dvmsr.batch.forecast import network_pixels
from dvmsr.batch.pipes import STANDARD, is_pipe, kept
from dvmsr.batch.report import check_report_file
from dvmsr.cli.printing import say
from dvmsr.cli.progress import RunProgress
from dvmsr.cli.quantities import duration, megapixels, size_of
from dvmsr.cli.summary import print_summary, tell_passed_over
from dvmsr.errors import ArgumentError
from dvmsr.inference.choosing import ModelChoice
from dvmsr.inference.files import FileOptions
from dvmsr.inference.upscaler import Upscaler

if TYPE_CHECKING:
    from dvmsr.cluster import ClusterSettings

# Pixels for the network, a second or two of work: of less, the result is there before the line is read.
_FORETOLD_PIXELS = 1 << 18


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
    cluster: ClusterSettings | None = None
    """Where other machines do the work."""


def run_batch(upscaler: Upscaler, inputs: Sequence[str], settings: Settings) -> BatchReport:
    """Plan, tell, enlarge, sum up.

    Args:
        upscaler: The network.
        inputs: What was named on the command line; ``-`` is standard input.
        settings: What was asked for; an output of ``-`` is standard output, and what is told then goes to
            standard error.

    Returns:
        What became of every file.

    Raises:
        DvmsrError: Nothing can be done.
    """
    if list(inputs).count(STANDARD) > 1:
        raise ArgumentError("expected - once: standard input ends when it has been read")
    with ExitStack() as stack:
        names: dict[str, str] = {}
        paths = [_without_pipe(path, settings, stack, names) for path in inputs]
        output = settings.output
        to_standard_output = output is not None and str(output) == STANDARD
        if to_standard_output:
            output = _file_for_standard_output(inputs, settings, stack)
            names[str(output)] = "standard output"
        plan = plan_files(
            paths,
            output,
            scale=upscaler.scale,
            options=settings.options,
            suffix=None if to_standard_output else settings.suffix,
            recursive=settings.recursive,
        )
        if settings.report is not None:
            check_report_file(settings.report, plan)
        if settings.cluster is None:
            plan = leave_out_what_cannot_fit(plan, upscaler, settings.options)
        return _Run(upscaler, plan, settings, names, to_standard_output=to_standard_output).go()


def _foretold(plan: BatchPlan, told: Forecast) -> str:
    """Say what will come out, and what it takes."""
    if told.images == 1:
        task = plan.tasks[0]
        times = f" (x{task.pictures})" if task.pictures > 1 else ""
        what = f"{task.source}: {task.width}x{task.height}{times} -> {task.target_width}x{task.target_height}"
        what += times
    else:
        what = f"{told.images} images: {megapixels(told.pixels)} -> {megapixels(told.target_pixels)}"
    takes = [f"{size_of(told.memory_bytes)} of memory", f"{size_of(told.disk_bytes)} on disk"]
    if told.seconds is not None:
        seconds = max(1, round(told.seconds))
        takes.insert(0, f"{seconds} s" if seconds < 60 else duration(seconds))
    return f"{what}, about {', '.join(takes)}"


class _Run:
    def __init__(
        self,
        upscaler: Upscaler,
        plan: BatchPlan,
        settings: Settings,
        names: dict[str, str],
        *,
        to_standard_output: bool,
    ) -> None:
        self._upscaler = upscaler
        self._plan = plan
        self._settings = settings
        self._names = names
        self._to_standard_output = to_standard_output
        self._report = BatchReport.of_plan(plan)
        # What still ended while the run was being stopped.
        self._late: list[Done | Failed] = []

    def go(self) -> BatchReport:
        """Do it all.

        Raises:
            KeyboardInterrupt: With how far it has come, where that is of several images.
        """
        try:
            return self._go()
        except KeyboardInterrupt as error:
            count, done = len(self._plan.tasks), len(self._report.enlarged)
            if count < 2:
                raise
            again = "without --overwrite the" if self._settings.options.overwrite else "the"
            raise KeyboardInterrupt(
                f"{done} of {count} images are done; {again} same command goes on"
            ) from error

    def _go(self) -> BatchReport:
        plan, settings = self._plan, self._settings
        start = time.monotonic()
        try:
            self._tell_plan()
            self._enlarge()
        finally:
            for event in self._late:
                self._report.add(event)
            if settings.report is not None:
                size = settings.options.size
                asked = {"size": size.tag if size else f"x{self._upscaler.scale}"}
                self._report.write(settings.report, asked)
        if len(plan.tasks) + len(plan.failed) + len(plan.finished) > 1 or plan.passed_over:
            print_summary(self._report, time.monotonic() - start)
        return self._report

    def _tell_plan(self) -> None:
        plan = self._plan
        tell_passed_over(plan.passed_over)
        for failure in plan.failed:
            if self._settings.debug and failure.cause is not None:
                raise failure.cause
            self._say(f"dvmsr: error: {failure.message}", error=True)
        if plan.finished:
            if len(plan.finished) == 1:
                text = f"finished before: {plan.finished[0].target}; --overwrite makes it again"
            else:
                text = f"finished before: {len(plan.finished)} images; --overwrite makes them again"
            self._say(text, error=True)
        if self._settings.cluster is not None:
            return
        work = sum(network_pixels(task, self._upscaler.scale, self._settings.options) for task in plan.tasks)
        if work >= _FORETOLD_PIXELS and all(task.size_is_known for task in plan.tasks):
            told = foretell(self._upscaler, plan.tasks, self._settings.options)
            self._say(_foretold(plan, told), error=True)

    def _enlarge(self) -> None:
        settings, tasks = self._settings, self._plan.tasks
        events = self._events()
        with closing(events), RunProgress(tasks) as progress:
            for event in events:
                if isinstance(event, (Done, Failed)):
                    self._report.add(event)
                progress.update(event)
                if isinstance(event, Failed):
                    if settings.debug:
                        raise event.error
                    with progress.hidden():
                        self._say(f"dvmsr: error: {event.failure.message}", error=True)
                elif isinstance(event, Done):
                    with progress.hidden():
                        self._tell_done(event)

    def _events(self) -> Generator[TaskEvent, None, None]:
        settings, tasks = self._settings, self._plan.tasks
        hashes = settings.report is not None
        if settings.cluster is None:
            return run_tasks(
                self._upscaler,
                tasks,
                settings.options,
                profile=settings.profile,
                hashes=hashes,
                late=self._late,
            )
        from dvmsr.cluster import run_tasks_on_ray

        return run_tasks_on_ray(
            settings.cluster,
            tasks,
            settings.options,
            hashes=hashes,
            late=self._late,
            on_cluster=lambda size: self._say(
                f"{len(tasks)} images for {size.processors} processors of {size.nodes} "
                f"machine{'s' * (size.nodes > 1)}",
                error=True,
            ),
        )

    def _tell_done(self, done: Done) -> None:
        file = done.file
        if self._to_standard_output:
            with file.target.open("rb") as result:
                shutil.copyfileobj(result, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        times = f" (x{file.pictures})" if file.pictures > 1 else ""
        # Of one that a cluster's machine had done already, it does not say how long that took.
        took = (
            f" in {duration(file.seconds)} ({megapixels(file.pixels / file.seconds)}/s)"
            if file.seconds
            else ""
        )
        self._say(
            f"{file.source} {file.width}x{file.height}{times} -> {file.target} "
            f"{file.target_width}x{file.target_height}{times}{took}{_chosen(file.choice)}"
        )
        for note in file.notes:
            self._say(f"  {note}")
        if file.comparison is not None:
            self._say(f"  beside bicubic interpolation: {file.comparison}")
        if done.profile is not None:
            from dvmsr.cli.profile import print_profile

            print_profile(done.profile)

    def _say(self, text: str, *, error: bool = False) -> None:
        for path, name in self._names.items():
            text = text.replace(path, name)
        say(text, error=error or self._to_standard_output)


def _chosen(choice: ModelChoice | None) -> str:
    if choice is None:
        return ""
    how = f" at strength {choice.strength:g}" if choice.strength not in (0, 1) else ""
    return f", {choice.model} model{how}: {choice.reason}"


def _without_pipe(path: str, settings: Settings, stack: ExitStack, names: dict[str, str]) -> str:
    """Return the path of a file with what comes out of a pipe, or the path of what is none."""
    if not is_pipe(path):
        return path
    if settings.cluster is not None:
        raise ArgumentError(f"{path}: a pipe is not there on other machines: leave out --ray")
    if settings.output is None:
        raise ArgumentError(f"{path}: expected where to write what comes out of a pipe: -o FILE, or -o -")
    copy = stack.enter_context(kept(path, sys.stdin.buffer))
    names[str(copy)] = "standard input" if path == STANDARD else path
    return str(copy)


def _file_for_standard_output(inputs: Sequence[str], settings: Settings, stack: ExitStack) -> Path:
    if settings.cluster is not None:
        raise ArgumentError("other machines have no part in standard output: leave out --ray")
    if sys.stdout.isatty():
        raise ArgumentError("expected standard output to be a file or a pipe for -o -, got a terminal")
    if settings.profile:
        raise ArgumentError("expected a file to write for --profile, whose table goes to standard output")
    if len(inputs) != 1:
        raise ArgumentError(f"expected one image for -o -, got {len(inputs)}")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dvmsr-"))
    return Path(folder) / f"stdout{settings.suffix or '.png'}"
