"""Training by several processes of one thread each on one machine, against one such process.

Each process has 8 patches a step, so that as many times the patches are hoped for. The command is run as a
user would, in turns, on noise; times are those that the run itself logs, without its start and first steps.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from workers import add_output, load_average, write_report

RESULT = Path(__file__).parent / "results" / "training_processes.json"
PHOTOGRAPHS, SIDE, BATCH, LOG_EVERY = 8, 256, 8, 5


@dataclass(frozen=True)
class Row:
    """Its names are those of the JSON file."""

    processes: int
    patches_per_second: float
    """The median of all rounds, as the next."""

    ratio: float
    """To one process in the same round."""


def patches_per_second(photographs: Path, run: Path, processes: int, options: argparse.Namespace) -> float:
    """Train, and return how many LR patches went through a second once it ran."""
    settings = {
        "run.batch": BATCH * processes,
        "data.patch": options.patch,
        "monitor.log_every": LOG_EVERY,
        "machine.accelerator": "cpu",
        "machine.devices": processes,
        "machine.threads": 1,
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "dvmsr", "train", photographs, "--output", run),
            *("--steps", str(LOG_EVERY + options.steps)),
            *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
        ],
        check=True,
    )
    with (run / "log.csv").open() as file:
        seconds = [float(row["seconds_per_step"]) for row in csv.DictReader(file)]
    return BATCH * processes / statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="how many, against one (default: 2)")
    parser.add_argument("--patch", type=int, default=32, help="side of an LR patch (default: 32)")
    parser.add_argument("--steps", type=int, default=30, help="steps that are timed (default: 30)")
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds (default: 3)")
    add_output(parser, RESULT)
    options = parser.parse_args()

    load_before = load_average()
    rates: dict[int, list[float]] = {1: [], options.processes: []}
    with tempfile.TemporaryDirectory() as name:
        photographs = Path(name) / "photographs"
        photographs.mkdir()
        noise = np.random.default_rng(0)
        for number in range(PHOTOGRAPHS):
            pixels = noise.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(photographs / f"{number}.png")
        for number in range(options.repeats):
            for processes, of_it in rates.items():
                run = Path(name) / f"{processes}-{number}"
                of_it.append(patches_per_second(photographs, run, processes, options))
    rows = [
        Row(
            processes,
            statistics.median(of_it),
            statistics.median(rate / first for rate, first in zip(of_it, rates[1], strict=True)),
        )
        for processes, of_it in rates.items()
    ]
    for row in rows:
        print(f"{row.processes} processes  {row.patches_per_second:6.1f} patches/s  {row.ratio:5.2f}")
    contents = {"patch": options.patch, "steps": options.steps, "repeats": options.repeats}
    write_report(options.output, load_before=load_before, **contents, rows=[asdict(row) for row in rows])


if __name__ == "__main__":
    main()
