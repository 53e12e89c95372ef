"""Progress of a run over images: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dvmsr.batch import Done, Failed, FileTask, Progress
from dvmsr.cli.printing import printable, say
from dvmsr.cli.quantities import images, megapixels

if TYPE_CHECKING:
    from dvmsr.cli.progress_bar import ProgressBar

_SECONDS_BETWEEN_LINES = 10.0


class RunProgress:
    """Shows on standard error how far a run is, the rate and the time left.

    Args:
        tasks: What is to be done.
    """

    def __init__(self, tasks: Sequence[FileTask]) -> None:
        self._single = tasks[0].source.name if len(tasks) == 1 else None
        self._count = len(tasks)
        self._total = sum(task.work for task in tasks)
        self._quantity = megapixels if all(task.size_is_known for task in tasks) else images
        self._ended = 0
        self._ended_work = 0
        self._under_way: dict[Path, int] = {}
        self._start = self._last_line = time.monotonic()
        self._bar: ProgressBar | None = None
        if tasks and sys.stderr is not None and sys.stderr.isatty():
            from dvmsr.cli.progress_bar import ProgressBar

            self._bar = ProgressBar(self._label, self._quantity)

    def __enter__(self) -> RunProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away for lines that are printed, and show it again if there is more to come."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None and self._ended < self._count:
            self._bar.start()

    def update(self, event: Progress | Done | Failed) -> None:
        """Show what has happened."""
        task = event.task
        if isinstance(event, Progress):
            self._under_way[task.source] = event.finished
        else:
            self._under_way.pop(task.source, None)
            self._ended += 1
            self._ended_work += task.work
        finished = self._ended_work + sum(self._under_way.values())
        if self._bar is not None:
            self._bar.update(self._label, finished, self._total)
        elif finished and self._ended < self._count:
            self._line(finished)

    @property
    def _label(self) -> str:
        return printable(self._single) if self._single else f"{self._ended}/{self._count} images"

    def _line(self, finished: int) -> None:
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = finished / (now - self._start)
        left = timedelta(seconds=round((self._total - finished) / rate))
        percent = 100 * finished // self._total
        say(f"{self._label}: {percent} %, {self._quantity(rate)}/s, {left} left", error=True)
