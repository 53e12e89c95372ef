"""Time and peak memory of enlarging one image: ours against RLFN, on the CPU, in one run (``make bench``).

Each network has a process of its own, so that its peak memory can be told. They take turns, one enlargement
each, so that a change in the machine's speed meets all alike; only one works at a time. What is timed is the
network: float32 image in, float32 image out, no file and no conversion of types.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from networks import NETWORKS, RLFN_WEIGHTS, Case

RESULT = Path(__file__).parent / "results" / "latest.json"
BASELINE = "rlfn-torch"
WARM_UP_RUNS = 2
# OpenMP's threads spin for some milliseconds after their work; the next network shall not share its cores.
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Row:
    """What one case measured. Its names are those of the JSON file."""

    network: str
    precision: str
    threads: int
    height: int
    width: int
    seconds: float
    peak_mib: float


class Worker:
    """A network in a process of its own.

    Args:
        case: What to measure; the network is built and warm when the constructor returns.
    """

    def __init__(self, case: Case) -> None:
        # Spawned, not forked: a fork would count the parent's pages as its own.
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self._process.submit(_prepare, case).result()

    def enlarge(self) -> float:
        """Enlarge once and return the seconds."""
        return self._process.submit(_time_once).result()

    def close(self) -> float:
        """End the process and return its peak memory in MiB."""
        peak = self._process.submit(_peak_mib).result()
        self._process.shutdown()
        return peak


# The following three run in the worker's process, which holds one network.
_enlarge: Callable[[], object]


def _prepare(case: Case) -> None:
    global _enlarge
    _enlarge = NETWORKS[case.network, case.precision](case)
    for _ in range(WARM_UP_RUNS):
        _enlarge()


def _time_once() -> float:
    start = time.perf_counter()
    _enlarge()
    return time.perf_counter() - start


def _peak_mib() -> float:
    # Not getrusage: Linux carries its ru_maxrss over from the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no line VmHWM")


def measure(cases: Sequence[Case], repeats: int) -> list[Row]:
    """Measure all cases in turns.

    Args:
        cases: What to measure.
        repeats: Timed enlargements of each.

    Returns:
        The median seconds and the peak memory of each case.
    """
    workers = [Worker(case) for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for _ in range(repeats):
        for worker, times in zip(workers, seconds, strict=True):
            time.sleep(PAUSE_SECONDS)
            times.append(worker.enlarge())
    return [
        Row(**asdict(case), seconds=statistics.median(times), peak_mib=round(worker.close(), 1))
        for case, worker, times in zip(cases, workers, seconds, strict=True)
    ]


def machine_facts() -> dict[str, Any]:
    """What the numbers depend on: processor, system and versions."""
    import torch

    from dvmsr.engine import instruction_set

    processor = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": processor[0] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "instruction_set": {
            "dvmsr": instruction_set(),
            "torch": torch.backends.cpu.get_cpu_capability(),
        },
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("dvmsr", "numpy", "torch")},
    }


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows, with their time as a ratio to RLFN's."""
    # Not at the top: the workers import this file too, and their memory is measured.
    from rich.console import Console
    from rich.table import Table

    baseline = next(row.seconds for row in rows if row.network == BASELINE)
    first = rows[0]
    table = Table(title=f"One {first.width}x{first.height} image, {first.threads} threads, medians")
    for heading in ("network", "precision"):
        table.add_column(heading)
    for heading in ("ms", f"/ {BASELINE}", "peak MiB"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = (f"{1000 * row.seconds:.1f}", f"{row.seconds / baseline:.2f}", f"{row.peak_mib:.0f}")
        table.add_row(row.network, row.precision, *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of each network (default: 2)")
    parser.add_argument("--height", type=int, default=256, help="rows of the LR image (default: 256)")
    parser.add_argument("--width", type=int, default=256, help="columns of the LR image (default: 256)")
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each network (default: 15)")
    parser.add_argument(
        "--output", type=Path, default=RESULT, help="JSON file to write (default: %(default)s)"
    )
    options = parser.parse_args()

    if not RLFN_WEIGHTS.exists():
        print("RLFN runs with random weights: its published ones are not in ../shared")
    cases = [
        Case(network, precision, options.threads, options.height, options.width)
        for network, precision in NETWORKS
    ]
    load = os.getloadavg()[0]
    rows = measure(cases, options.repeats)
    print_table(rows)
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_before": round(load, 2),
        "repeats": options.repeats,
        "rows": [asdict(row) for row in rows],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Wrote {options.output}")


if __name__ == "__main__":
    main()
