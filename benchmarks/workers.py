"""What the CPU benchmarks share: taking turns, and what their numbers depend on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine_facts() -> dict[str, Any]:
    """What the numbers depend on: processor, system and versions, and how this process is scheduled."""
    import torch

    from dvmsr.engine import instruction_set

    processor = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    real_time = os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return {
        "processor": processor[0] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "instruction_set": {
            "dvmsr": instruction_set(),
            "torch": torch.backends.cpu.get_cpu_capability(),
        },
        "system": platform.platform(),
        "priority": "real-time" if real_time else "normal",
        "python": platform.python_version(),
        **{package: version(package) for package in ("dvmsr", "numpy", "torch")},
    }


def add_output(parser: ArgumentParser, result: Path) -> None:
    """Give a script the option ``--output``.

    Args:
        parser: Its options.
        result: The JSON file that it writes by default.
    """
    parser.add_argument(
        "--output", type=Path, default=result, help="JSON file to write (default: %(default)s)"
    )


def measure_in_turns(
    parts: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    processor_seconds: Callable[[], float] = time.process_time,
) -> list[dict[str, Any]]:
    """Let several things be done in turns, so that a change in the machine's speed meets all alike.

    Args:
        parts: The things.
        repeats: Rounds.
        processor_seconds: Tells the processor time until now of all that does the work.

    Returns:
        For each a row: ``part``, the medians ``seconds`` (wall time) and ``processor_seconds``, and of both
        the medians of their ratios to the first part's in the same round.
    """
    times: dict[str, list[dict[str, float]]] = {part: [] for part in parts}
    for _ in range(repeats):
        for part, work in parts.items():
            wall, processor = time.perf_counter(), processor_seconds()
            work()
            times[part].append(
                {
                    "seconds": time.perf_counter() - wall,
                    "processor_seconds": processor_seconds() - processor,
                }
            )
    base = next(iter(times.values()))
    rows = []
    for part, rounds in times.items():
        row: dict[str, Any] = {"part": part}
        for key in rounds[0]:
            row[key] = statistics.median(each[key] for each in rounds)
            ratios = (each[key] / first[key] for each, first in zip(rounds, base, strict=True))
            row[f"{key}_ratio"] = statistics.median(ratios)
        rows.append(row)
    return rows


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print what :func:`measure_in_turns` measured."""
    for row in rows:
        print(
            f"{row['part']:12} {row['seconds']:8.2f} s {row['seconds_ratio']:6.3f}   "
            f"{row['processor_seconds']:8.2f} s of processors {row['processor_seconds_ratio']:6.3f}"
        )


def resident_bytes() -> int:
    """Return how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load_average() -> float:
    """Processes that ran or waited during the last minute, on average: what else kept the machine busy."""
    return round(os.getloadavg()[0], 2)


def write_report(path: Path, *, load_before: float, **contents: Any) -> None:
    """Write the result of a script: the date, the machine and ``contents``.

    Args:
        path: The JSON file; its folder is made if missing.
        load_before: ``load_average()`` from before the measurement.
        contents: What was measured.
    """
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_before": load_before,
        **contents,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Wrote {path}")
