"""Progress on one image: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dvmsr.cli.progress_bar import ProgressBar

_SECONDS_BETWEEN_LINES = 10.0


def megapixels(pixels: float) -> str:
    """Pixels as a text in millions of pixels."""
    return f"{pixels / 1e6:.3g} MP"


class FileProgress:
    """Shows on standard error how far an image is, the rate and the time left.

    Args:
        label: What to call the image.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = self._last_line = time.monotonic()
        self._bar: ProgressBar | None = None
        if sys.stderr.isatty():
            from dvmsr.cli.progress_bar import ProgressBar

            self._bar = ProgressBar(label)

    def __enter__(self) -> FileProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, finished: int, total: int) -> None:
        """Show a new state.

        Args:
            finished: Finished pixels of the input, above 0.
            total: All its pixels.
        """
        if self._bar is not None:
            self._bar.update(finished, total)
            return
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES or finished == total:
            return
        self._last_line = now
        rate = finished / (now - self._start)
        left = timedelta(seconds=round((total - finished) / rate))
        typer.echo(f"{self._label}: {100 * finished // total} %, {megapixels(rate)}/s, {left} left", err=True)
