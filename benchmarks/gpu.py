"""Time and memory of the kernels and the network on a GPU, in one run of less than eight minutes.

The scan alone, forward and with its gradients, a ViMM, the network, an image from pixels to pixels, and a
training step, from 64x64 to 1024x1024 LR pixels, launched one kernel after the other and as a CUDA graph,
beside the definitions of the kernels, RLFN and, where it is installed, mamba-ssm. What is compared takes
turns, so that a change in the GPU's clock meets all alike. Times are medians between CUDA events; an image's
are of the wall clock. The scan's floor is told from the rates that are measured first. What is finished is
written at once.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gpu_cases import Case, build, has_mamba_ssm
from gpu_floor import Rates, measure_rates, scan_floor, seconds_on_gpu

RESULTS = Path(__file__).parent / "results"
SIDES = (64, 128, 256, 512, 1024)
# The definitions walk from token to token: larger images would take minutes.
REFERENCE_SIDE = 64
# Beside the given sides: one image of 4,096 x 4,096 pixels shows what its bands need.
IMAGE_SIDE = 4096
# Shorter runs are repeated between two events, whose own time would count.
LEAST_SECONDS = 2e-3


@dataclass(frozen=True)
class Row(Case):
    """What one case measured. Its names are those of the JSON file."""

    seconds: float
    peak_mib: float
    """Most memory that tensors took, the weights and the input included."""


def groups(sides: Sequence[int], batch: int, patch: int, launches: Sequence[str]) -> list[list[Case]]:
    """Return the cases; those of one list are compared, and take turns."""
    found = []
    for task in ("scan", "vimm", "model"):
        for side in sides:
            for precision in ("fp32", "bf16"):
                case = Case(task, "dvmsr", precision, "eager", 1, side)
                group = [replace(case, launch=launch) for launch in launches]
                if task == "model":
                    group += [replace(case, implementation="rlfn", launch=launch) for launch in launches]
                if task == "scan" and has_mamba_ssm():
                    group.append(replace(case, implementation="mamba-ssm"))
                if side <= REFERENCE_SIDE and precision == "fp32":
                    group.append(replace(case, implementation="reference"))
                found.append(group)
    for precision in ("fp32", "bf16"):
        found += [[Case("gradients", "dvmsr", precision, "eager", 1, side)] for side in sides]
        if "graph" in launches:
            found.append([Case("image", "dvmsr", precision, "bands", 1, IMAGE_SIDE)])
        case = Case("step", "dvmsr", precision, "eager", batch, patch)
        found.append([case, replace(case, implementation="rlfn")])
        if precision == "fp32":
            found[-1].append(replace(case, implementation="reference"))
    return found


def measure(group: Sequence[Case], device: str, repeats: int) -> list[Row]:
    """Measure cases in turns: the definitions once, all others ``repeats`` times."""
    on_gpu = torch.device(device).type == "cuda"
    clock = seconds_on_gpu if on_gpu and group[0].task != "image" else _seconds_by_clock
    runs, peaks, counts = [], [], []
    seconds: list[list[float]] = [[] for _ in group]
    for case, times in zip(group, seconds, strict=True):
        if on_gpu:
            torch.cuda.empty_cache()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        run = build(case, device)
        if case.implementation == "reference":
            times.append(clock(run))
            counts.append(0)
        else:
            run()
            counts.append(max(1, math.ceil(LEAST_SECONDS / clock(run))))
        peaks.append((torch.cuda.max_memory_allocated() - before) / 2**20 if on_gpu else 0.0)
        runs.append(run)
    for _ in range(repeats):
        for run, times, count in zip(runs, seconds, counts, strict=True):
            if count:
                times.append(clock(lambda: [run() for _ in range(count)]) / count)  # noqa: B023 - called here
    return [
        Row(**asdict(case), seconds=statistics.median(times), peak_mib=round(peak, 1))
        for case, times, peak in zip(group, seconds, peaks, strict=True)
    ]


def _seconds_by_clock(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def machine_facts(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    on_gpu = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "triton")},
    }


def print_table(rows: Sequence[Row], floors: dict[str, dict[str, float]]) -> None:
    """Print the rows, each with its ratio to the scan's floor or to RLFN launched the same way."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Medians on the GPU")
    for heading in ("task", "implementation", "precision", "launch"):
        table.add_column(heading)
    for heading in ("batch x LR pixels", "ms", "/ floor or RLFN", "peak MiB"):
        table.add_column(heading, justify="right")
    rlfn = {_comparable(row): row.seconds for row in rows if row.implementation == "rlfn"}
    for row in rows:
        floor = floors.get(f"{row.precision} {row.side}", {}).get("floor") if row.task == "scan" else None
        base = floor or rlfn.get(_comparable(row))
        table.add_row(
            row.task,
            row.implementation,
            row.precision,
            row.launch,
            f"{row.batch} x {row.side}^2",
            f"{1000 * row.seconds:.3f}",
            f"{row.seconds / base:.2f}" if base else "",
            f"{row.peak_mib:.0f}",
        )
    Console(width=110).print(table)


def _comparable(row: Row) -> tuple[object, ...]:
    return row.task, row.precision, row.launch, row.batch, row.side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="(default: cuda; cpu only tries the script)")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="(default: 64 to 1024)")
    parser.add_argument("--batch", type=int, default=32, help="patches of a training step (default: 32)")
    parser.add_argument("--patch", type=int, default=64, help="side of its LR patches (default: 64)")
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each case (default: 15)")
    parser.add_argument("--output", type=Path, help="JSON file (default: results/gpu-DEVICE.json)")
    options = parser.parse_args()
    on_gpu = torch.device(options.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here; this measures one")

    rates: Rates | None = measure_rates() if on_gpu else None
    launches = ("eager", "graph") if on_gpu else ("eager",)
    rows: list[Row] = []
    floors: dict[str, dict[str, float]] = {}
    if rates is not None:
        floors = {
            f"{precision} {side}": scan_floor(rates, side**2, size)
            for side in options.sides
            for precision, size in (("fp32", 4), ("bf16", 2))
        }
    facts = machine_facts(options.device)
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": facts,
        "rates": asdict(rates) if rates else None,
        "scan_floors": floors,
        "repeats": options.repeats,
    }
    output = options.output or RESULTS / f"gpu-{facts['device'].lower().replace(' ', '-')}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    for group in groups(options.sides, options.batch, options.patch, launches):
        name = f"{group[0].task} {group[0].side}^2 {group[0].precision}"
        try:
            rows += measure(group, options.device, options.repeats)
        except torch.OutOfMemoryError:
            print(f"{name}: not enough memory", flush=True)
            continue
        report["rows"] = [asdict(row) for row in rows]
        output.write_text(json.dumps(report, indent=2) + "\n")
        print(f"{name}: done", flush=True)
    print_table(rows, floors)
    print(f"Wrote {output}")


if __name__ == "__main__":
    main()
