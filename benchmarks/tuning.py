"""The shipped weights, tuned on 50 photographs as docs/training.md says: time, and scores before and after.

Of the photographs in a folder the first are tuned on and the next are scored on. Their LR images are made as
many cameras and programs make theirs, by the mean of 4x4 pixels, which is softer than the bicubic reduction
that the shipped weights know. The command is run as a user would.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from dvmsr.degradations.reduction import reduce
from dvmsr.images import make_pair, read_image
from dvmsr.images.folders import list_images
from workers import add_output, load_average, write_report

RESULT = Path(__file__).parent / "results" / "tuning.json"
RECIPE = Path(__file__).parents[1] / "recipes" / "own-photographs.toml"
SCALE = 4


def write_pair(source: Path, folder: Path) -> None:
    """Write a photograph, and the means of its 4x4 pixels, to ``HR/`` and ``LR/`` of a folder."""
    _, high = make_pair(read_image(source), SCALE)
    for name, pixels in (("HR", high), ("LR", reduce(high, SCALE, "area"))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{source.stem}.png")


def read_scores(log: Path, column: str) -> dict[str, float]:
    """Return the scores in a run's log by their steps."""
    with log.open() as file:
        return {row["step"]: float(row[column]) for row in csv.DictReader(file) if row[column]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="folder of photographs, 8 bit")
    parser.add_argument("--tuned", type=int, default=50, help="photographs to tune on (default: 50)")
    parser.add_argument("--scored", type=int, default=10, help="others to score on (default: 10)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: 2)")
    parser.add_argument("--steps", type=int, help="steps (default: the recipe's)")
    add_output(parser, RESULT)
    options = parser.parse_args()
    wanted = options.tuned + options.scored
    sources = list_images(options.photographs)[:wanted]
    if len(sources) < wanted:
        parser.error(f"expected {wanted} photographs in {options.photographs}, got {len(sources)}")

    load_before = load_average()
    with tempfile.TemporaryDirectory() as name:
        mine, others, run = (Path(name) / folder for folder in ("mine", "others", "run"))
        for number, source in enumerate(sources):
            write_pair(source, mine if number < options.tuned else others)
        start = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "dvmsr", "finetune", mine / "HR", "--lr", mine / "LR"),
                *("--recipe", RECIPE, "--output", run, "--validate", others),
                *("--set", "machine.accelerator=cpu", "--set", f"machine.threads={options.threads}"),
                *(("--steps", str(options.steps)) if options.steps else ()),
            ],
            check=True,
        )
        seconds = time.perf_counter() - start
        scores = read_scores(run / "log.csv", "others psnr_y")
    print(f"{seconds:.0f} s, PSNR-Y by steps: {scores}")
    write_report(
        options.output,
        load_before=load_before,
        tuned_on=options.tuned,
        scored_on=options.scored,
        threads=options.threads,
        seconds=round(seconds, 1),
        psnr_y=scores,
    )


if __name__ == "__main__":
    main()
