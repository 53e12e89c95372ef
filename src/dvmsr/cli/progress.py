"""Progress of a run over images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvmsr.batch import Done, Failed, FileTask, Progress
from dvmsr.cli.printing import printable
from dvmsr.cli.progress_display import ProgressDisplay
from dvmsr.cli.quantities import images, megapixels


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
        self._display = ProgressDisplay(self._label, self._quantity) if tasks else None

    def __enter__(self) -> RunProgress:
        if self._display is not None:
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away for lines that are printed, and show it again if there is more to come."""
        if self._display is not None:
            self._display.stop()
        yield
        if self._display is not None and self._ended < self._count:
            self._display.start()

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
        if self._display is not None:
            self._display.update(self._label, finished, self._total)

    @property
    def _label(self) -> str:
        return printable(self._single) if self._single else f"{self._ended}/{self._count} images"
