"""What is told of a run before and after: few lines, however many files there are."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from dvmsr.batch import BatchReport, Failure, PassedOver
from dvmsr.cli.printing import say
from dvmsr.cli.quantities import duration

_NAMES_SHOWN = 10


def tell_passed_over(passed_over: Sequence[PassedOver]) -> None:
    """Name what is not taken, by reasons, on standard error."""
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for entry in passed_over:
        by_reason[entry.reason].append(entry.path)
    for reason, paths in by_reason.items():
        if len(paths) == 1:
            say(f"passed over {paths[0]}: {reason}", error=True)
            continue
        say(f"passed over {len(paths)} files or folders: {reason}", error=True)
        for path in paths[:_NAMES_SHOWN]:
            say(f"  {path}", error=True)
        _tell_rest(len(paths))


def print_summary(report: BatchReport, seconds: float) -> None:
    """Sum up a run: a table on a terminal, a line elsewhere; and what failed, on standard error.

    Args:
        report: What became of every file.
        seconds: How long it took.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        from dvmsr.cli.summary_table import print_table

        print_table(report, seconds)
    else:
        said = [f"{len(report.enlarged)} of {_count(report)} images enlarged in {duration(seconds)}"]
        if report.finished:
            said.append(f"{len(report.finished)} finished before")
        if report.passed_over:
            said.append(f"{len(report.passed_over)} passed over")
        say("; ".join(said))
    if report.failed:
        _tell_failed(report.failed, _count(report))


def _tell_failed(failed: Sequence[Failure], count: int) -> None:
    say(f"dvmsr: error: {len(failed)} of {count} images failed:", error=True)
    for failure in failed[:_NAMES_SHOWN]:
        say(f"  {failure.path}", error=True)
    _tell_rest(len(failed))


def _tell_rest(count: int) -> None:
    if count > _NAMES_SHOWN:
        say(f"  and {count - _NAMES_SHOWN} more, which --report FILE.json lists", error=True)


def _count(report: BatchReport) -> int:
    return len(report.enlarged) + len(report.finished) + len(report.failed) + len(report.left)
