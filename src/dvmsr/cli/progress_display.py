"""How far some work is, on standard error: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from dvmsr.cli.printing import say

if TYPE_CHECKING:
    from dvmsr.cli.progress_bar import ProgressBar

_SECONDS_BETWEEN_LINES = 10.0


class ProgressDisplay:
    """Shows how far some work is, the rate and the time left.

    Args:
        label: What to call the work.
        quantity: Says how much is finished, for the rate.
    """

    def __init__(self, label: str, quantity: Callable[[float], str]) -> None:
        self._quantity = quantity
        self._begun = self._last_line = time.monotonic()
        self._bar: ProgressBar | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            from dvmsr.cli.progress_bar import ProgressBar

            self._bar = ProgressBar(label, quantity)

    def start(self) -> None:
        """Show the bar, where there is one."""
        if self._bar is not None:
            self._bar.start()

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, label: str, finished: int, total: int | None, *, fresh: int | None = None) -> None:
        """Show a new state.

        Args:
            label: What to call the work.
            finished: How much is finished.
            total: All of it; None where that is not known.
            fresh: What of ``finished`` was done since this began; None: all.
        """
        if self._bar is not None:
            self._bar.update(label, finished, total)
            return
        now, done = time.monotonic(), finished if fresh is None else fresh
        if not done or finished == total or now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = done / (now - self._begun)
        said = f"{label}: {self._quantity(finished)}, {self._quantity(rate)}/s"
        if total is not None:
            left = timedelta(seconds=round((total - finished) / rate))
            said = f"{label}: {100 * finished // total} %, {self._quantity(rate)}/s, {left} left"
        say(said, error=True)
