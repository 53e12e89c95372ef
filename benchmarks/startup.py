"""Time of ``dvmsr upscale`` on a small image, from the start of the process to its end, in one run.

It is given as a ratio to a process that imports NumPy and Typer and does nothing: what any command line with
arrays pays. The commands take turns, so that a change in the machine's speed meets all alike.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyvips

from workers import add_output, load_average, write_report

RESULT = Path(__file__).parent / "results" / "startup.json"
BASELINE = "import numpy, typer"
WARM_UP_RUNS = 2


def commands(folder: Path, side: int) -> dict[str, list[str]]:
    """What is timed, by name.

    Args:
        folder: Where the images go.
        side: Rows and columns of the image that is enlarged.
    """
    source = folder / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(source))
    # The installed command, not ``python -c``: its own start is a part of it.
    dvmsr = str(Path(sys.executable).with_name("dvmsr"))
    target = str(folder / "large.png")
    return {
        BASELINE: [sys.executable, "-c", BASELINE],
        "python": [sys.executable, "-c", "pass"],
        "dvmsr --version": [dvmsr, "--version"],
        f"dvmsr upscale, {side}x{side}": [dvmsr, "upscale", str(source), "-o", target, "--overwrite"],
    }


def measure(timed: Mapping[str, Sequence[str]], repeats: int) -> dict[str, float]:
    """Run all commands in turns and return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(WARM_UP_RUNS + repeats):
        for name, command in timed.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[WARM_UP_RUNS:]) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=64, help="rows and columns of the image (default: 64)")
    parser.add_argument("--repeats", type=int, default=25, help="timed runs of each command (default: 25)")
    add_output(parser, RESULT)
    options = parser.parse_args()

    load = load_average()
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(commands(Path(folder), options.side), options.repeats)
    rows = [
        {"command": name, "seconds": seconds, "ratio": seconds / medians[BASELINE]}
        for name, seconds in medians.items()
    ]
    for row in rows:
        print(f"{row['command']:24} {1000 * row['seconds']:7.1f} ms {row['ratio']:6.2f}")
    write_report(options.output, load_before=load, repeats=options.repeats, rows=rows)


if __name__ == "__main__":
    main()
