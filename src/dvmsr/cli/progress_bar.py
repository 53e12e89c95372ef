"""The bar of a run on a terminal. Apart from the lines elsewhere, as its library takes long to import."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from dvmsr.cli.quantities import megapixels


class _Rate(ProgressColumn):
    """Finished megapixels of the input per second, or images where their sizes are not known."""

    def __init__(self, counts_pixels: bool) -> None:
        super().__init__()
        self._counts_pixels = counts_pixels

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        pace = f"{megapixels(task.speed)}/s" if self._counts_pixels else f"{task.speed:.2f} images/s"
        return Text(pace, style="progress.data.speed")


class ProgressBar:
    """A bar on standard error that vanishes when it is stopped.

    Args:
        label: What to call the work.
        counts_pixels: Whether pixels are counted; else images.
    """

    def __init__(self, label: str, *, counts_pixels: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(counts_pixels),
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
        """Show a new state: what to call the work, how much is finished, and all."""
        self._progress.update(self._task, description=escape(label), completed=finished, total=total)
