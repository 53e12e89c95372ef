"""The bar of a run on a terminal. Apart from the lines elsewhere, as its library takes long to import."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """What is finished in a second."""

    def __init__(self, quantity: Callable[[float], str]) -> None:
        super().__init__()
        self._quantity = quantity

    def render(self, task: Task) -> Text:
        return Text(f"{self._quantity(task.speed)}/s" if task.speed else "", style="progress.data.speed")


class ProgressBar:
    """A bar on standard error that vanishes when it is stopped.

    Args:
        label: What to call the work.
        quantity: Says how much is finished, for the rate.
    """

    def __init__(self, label: str, quantity: Callable[[float], str]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(quantity),
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

    def update(self, label: str, finished: int, total: int | None) -> None:
        """Show a new state: what to call the work, how much is finished, and all, where that is known."""
        self._progress.update(self._task, description=escape(label), completed=finished, total=total)
