"""The bar of a run on a terminal. Apart from the lines elsewhere, as its library takes long to import."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from dvmsr.cli.quantities import megapixels


class _Rate(ProgressColumn):
    """Finished megapixels of the input per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{megapixels(task.speed)}/s" if task.speed else "", style="progress.data.speed")


class ProgressBar:
    """A bar on standard error that vanishes when it is stopped.

    Args:
        label: What to call the work.
    """

    def __init__(self, label: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(escape(label), total=None)

    def start(self) -> None:
        """Show the bar."""
        self._progress.start()

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def update(self, label: str, finished: int, total: int) -> None:
        """Show a new state: what to call the work, finished pixels of the input, and all."""
        self._progress.update(self._task, description=escape(label), completed=finished, total=total)
