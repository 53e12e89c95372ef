"""Time and peak memory of training on the CPU: native kernels against their definitions, in one run.

Two tasks: a whole step of the student (forward, backward, Adam) at batch 8 of 32x32 LR patches, and the
selective scan alone, forward and backward, at batch 8 and 4,096 tokens. Each case has a process of its own,
so that its peak memory can be told. They take turns, so that a change in the machine's speed meets all alike.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from inference import PAUSE_SECONDS, _peak_mib, machine_facts

RESULT = Path(__file__).parent / "results" / "training_step.json"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    task: str
    """"step" or "scan"."""

    kernels: str
    """"cpu", the native ones, or "reference"."""

    threads: int
    batch: int
    tokens: int
    """In each sequence: the pixels of an LR patch."""


@dataclass(frozen=True)
class Row(Case):
    """What one case measured. Its names are those of the JSON file."""

    seconds: float
    base_mib: float
    """Memory of the process before the first run: the libraries, the weights, the inputs."""

    peak_mib: float


def student_step(case: Case) -> Callable[[], object]:
    """A step on noise, as the trainer does it, without its clipping and moving average."""
    import torch

    from dvmsr.model import DVMSR

    torch.manual_seed(0)
    network = DVMSR()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    side = round(case.tokens**0.5)
    low = torch.rand(case.batch, 3, side, side)
    high = torch.rand(case.batch, 3, network.config.scale * side, network.config.scale * side)

    def step() -> None:
        loss = torch.nn.functional.l1_loss(network(low), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def scan_alone(case: Case) -> Callable[[], object]:
    """The scan with the student's sizes, and all its gradients."""
    import torch

    from dvmsr import STUDENT
    from dvmsr.kernels import selective_scan

    torch.manual_seed(0)
    channels, states = STUDENT.inner_channels, STUDENT.state_size
    tokens = (case.batch, case.tokens)
    u, delta, z = (torch.randn(*tokens, channels) for _ in range(3))
    B, C = (torch.randn(*tokens, states) for _ in range(2))
    A = -torch.rand(channels, states) * states
    inputs = [u, delta - 4, A, B, C, torch.ones(channels), z, torch.zeros(channels)]
    for tensor in inputs:
        tensor.requires_grad_()
    gradient = torch.randn(*tokens, channels)

    def forward_and_backward() -> None:
        y, _ = selective_scan(*inputs)
        torch.autograd.grad(y, inputs, gradient)

    return forward_and_backward


TASKS = {"step": student_step, "scan": scan_alone}


class Worker:
    """A case in a process of its own.

    Args:
        case: What to measure; it is built, and has run once, when the constructor returns.
    """

    def __init__(self, case: Case) -> None:
        # Spawned, not forked: a fork would count the parent's pages as its own.
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self.base_mib = self._process.submit(_prepare, case).result()

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


def _prepare(case: Case) -> float:
    global _run
    import torch

    from dvmsr.kernels import using

    torch.set_num_threads(case.threads)
    run = TASKS[case.task](case)

    def with_kernels() -> None:
        with using(case.kernels):
            run()

    _run = with_kernels
    base = _peak_mib()
    _run()
    return base


def _time_once() -> float:
    start = time.perf_counter()
    _run()
    return time.perf_counter() - start


def measure(cases: Sequence[Case], repeats: int) -> list[Row]:
    """Measure all cases in turns and return the median seconds and the memory of each."""
    workers = [Worker(case) for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for _ in range(repeats):
        for worker, times in zip(workers, seconds, strict=True):
            time.sleep(PAUSE_SECONDS)
            times.append(worker.run())
    return [
        Row(
            **asdict(case),
            seconds=statistics.median(times),
            base_mib=round(worker.base_mib, 1),
            peak_mib=round(worker.close(), 1),
        )
        for case, worker, times in zip(cases, workers, seconds, strict=True)
    ]


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows, with the time of the definition as a ratio to that of the native kernels."""
    # Not at the top: the workers import this file too, and their memory is measured.
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Training on the CPU, {rows[0].threads} threads, medians")
    for heading in ("task", "kernels"):
        table.add_column(heading)
    for heading in ("batch x tokens", "ms", "/ cpu", "MiB before", "peak MiB"):
        table.add_column(heading, justify="right")
    fast = {row.task: row.seconds for row in rows if row.kernels == "cpu"}
    for row in rows:
        table.add_row(
            row.task,
            row.kernels,
            f"{row.batch} x {row.tokens}",
            f"{1000 * row.seconds:.1f}",
            f"{row.seconds / fast[row.task]:.2f}",
            f"{row.base_mib:.0f}",
            f"{row.peak_mib:.0f}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of each case (default: 2)")
    parser.add_argument("--batch", type=int, default=8, help="patches, sequences (default: 8)")
    parser.add_argument("--patch", type=int, default=32, help="side of the step's LR patches (default: 32)")
    parser.add_argument(
        "--tokens", type=int, default=4096, help="length of the scan's sequences (default: 4096)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each case (default: 5)")
    parser.add_argument(
        "--output", type=Path, default=RESULT, help="JSON file to write (default: %(default)s)"
    )
    options = parser.parse_args()

    load = os.getloadavg()[0]
    rows: list[Row] = []
    # One task after the other: the definitions of both at once need much memory.
    for task, tokens in (("step", options.patch**2), ("scan", options.tokens)):
        cases = [
            Case(task, kernels, options.threads, options.batch, tokens) for kernels in ("cpu", "reference")
        ]
        rows += measure(cases, options.repeats)
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
