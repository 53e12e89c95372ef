"""What a person sees of a run: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as _TimeLeft
from rich.text import Text

_SECONDS_BETWEEN_LINES = 30.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed) if task.speed else "", style="progress.data.speed")


class Display:
    """Shows progress on standard error.

    Args:
        silent: Show nothing: for all processes of a run but the first.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._total = 0
        self._first = 0
        self._start = self._last_line = 0.0

    def line(self, text: str) -> None:
        """Show a line of text, above the bar if there is one."""
        if self._silent:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            # A full disk under standard error is no reason to end a run.
            with suppress(OSError):
                print(text, file=sys.stderr, flush=True)

    def start(self, first: int, total: int) -> None:
        """Begin to show steps, from ``first`` of ``total`` on."""
        self._first, self._total = first, total
        self._start = self._last_line = time.monotonic()
        if self._silent or not sys.stderr.isatty():
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), _TimeLeft())
        # Some steps pass between two validations or checkpoints: the rate is that of the last minutes.
        self._bar = Progress(*columns, console=self._console, transient=True, speed_estimate_period=120)
        self._task = self._bar.add_task("training", total=total, completed=first)
        self._bar.start()

    def update(self, done: int, loss: float | None) -> None:
        """Show a new state.

        Args:
            done: Steps that are done, of all.
            loss: The newest value in the log, None where there is none yet.
        """
        if self._silent:
            return
        text = "training" if loss is None else f"loss {loss:.5f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=text)
            return
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES or done == self._total:
            return
        self._last_line = now
        rate = (done - self._first) / (now - self._start)
        left = timedelta(seconds=round((self._total - done) / rate))
        self.line(f"step {done} of {self._total}, {_rate(rate)}, {left} left, {text}")

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _rate(steps_per_second: float) -> str:
    if steps_per_second < 1:
        return f"{1 / steps_per_second:.2f} s/step"
    return f"{steps_per_second:.1f} steps/s"
