"""Time and peak memory of pieces of work, measured in turns.

Each case has a process of its own, so that its peak memory can be told. They take turns, one run each, so
that a change in the machine's speed meets all alike; only one works at a time.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

CaseT = TypeVar("CaseT")

# OpenMP's threads spin for some milliseconds after their work; the next case shall not share its cores.
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """What one case measured."""

    seconds: float
    """Median of one run."""

    base_mib: float
    """Peak memory of the process before the first run: the libraries, the weights, the inputs."""

    peak_mib: float
    """Peak memory of the process at its end."""


class Worker(Generic[CaseT]):
    """A case in a process of its own.

    Args:
        build: Makes the function that does a case's work once. It is called in the process.
        case: What to measure; it is built and warm when the constructor returns.
        warm_up: Runs beforehand.
    """

    def __init__(self, build: Callable[[CaseT], Callable[[], object]], case: CaseT, warm_up: int) -> None:
        # Spawned, not forked: a fork would count the parent's pages as its own.
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self.base_mib = self._process.submit(_prepare, build, case, warm_up).result()

    def run(self) -> float:
        """Run once and return the seconds."""
        return self._process.submit(_time_once).result()

    def close(self) -> float:
        """End the process and return its peak memory in MiB."""
        peak = self._process.submit(_peak_mib).result()
        self._process.shutdown()
        return peak


# The following run in the worker's process, which holds one case.
_run: Callable[[], object]


def _prepare(build: Callable[[Any], Callable[[], object]], case: object, warm_up: int) -> float:
    global _run
    _run = build(case)
    base = _peak_mib()
    for _ in range(warm_up):
        _run()
    return base


def _time_once() -> float:
    start = time.perf_counter()
    _run()
    return time.perf_counter() - start


def _peak_mib() -> float:
    # Not getrusage: Linux carries its ru_maxrss over from the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no line VmHWM")


def measure(
    build: Callable[[CaseT], Callable[[], object]], cases: Sequence[CaseT], *, warm_up: int, repeats: int
) -> list[Measured]:
    """Measure all cases in turns.

    Args:
        build: Makes the function that does a case's work once; importable by its name.
        cases: What to measure.
        warm_up: Runs of each beforehand.
        repeats: Timed runs of each.
    """
    workers = [Worker(build, case, warm_up) for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for _ in range(repeats):
        for worker, times in zip(workers, seconds, strict=True):
            time.sleep(PAUSE_SECONDS)
            times.append(worker.run())
    return [
        Measured(statistics.median(times), round(worker.base_mib, 1), round(worker.close(), 1))
        for worker, times in zip(workers, seconds, strict=True)
    ]
