"""A folder of small images: time of the whole run against the engine's own on the same pixels, in one run.

JPEG files in, PNG files out, as many images at a time as there are threads. Three things take turns: the
engine alone, from arrays to arrays, as many at a time; the run, from ``plan_files`` to the last file; and the
codecs alone, which decode the sources and encode the results. Wall time and the processor time of all threads
are given: on a machine that others use as well, the latter tells more. What is written is left to the disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from dvmsr import Upscaler
from dvmsr.batch import Failed, plan_files, run_tasks
from dvmsr.images import open_image, read_image, write_image
from dvmsr.inference.files import FileOptions
from workers import add_output, load_average, measure_in_turns, print_rows, write_report

PHOTOGRAPH = Path(__file__).parents[1] / "examples" / "chelsea.png"
RESULT = Path(__file__).parent / "results" / "folder.json"


def write_crops(folder: Path, count: int, side: int) -> None:
    """Write JPEG files of parts of a photograph, each of another part."""
    pixels = read_image(PHOTOGRAPH)
    rng = np.random.default_rng(0)
    for number in range(count):
        top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        image = pyvips.Image.new_from_array(crop, interpretation="srgb")
        image.write_to_file(str(folder / f"{number:04}.jpg"), Q=90)


def measure(upscaler: Upscaler, images: int, side: int, repeats: int) -> list[dict[str, Any]]:
    """Measure the engine, the run and the codecs in turns, on images of one size.

    Returns:
        A row of each, as of ``measure_in_turns``.
    """
    single = upscaler.with_threads(1)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(upscaler.threads) as pool:
        folder = Path(name) / "small"
        folder.mkdir()
        write_crops(folder, images, side)
        sources = sorted(folder.iterdir())
        arrays = [read_image(path) for path in sources]
        # The results of a few stand for all in the codecs' part: they need not all be kept in memory.
        enlarged = [single.upscale(array) for array in arrays[:20]]

        def engine() -> None:
            list(pool.map(single.upscale, arrays))

        def run() -> None:
            plan = plan_files(
                [folder],
                Path(name) / "large",
                scale=upscaler.scale,
                options=FileOptions(overwrite=True),
                suffix=".png",
            )
            for event in run_tasks(upscaler, plan.tasks, FileOptions(overwrite=True)):
                assert not isinstance(event, Failed)

        def code(number: int) -> None:
            read_image(sources[number])
            reader = open_image(sources[number])
            result = enlarged[number % len(enlarged)]
            target = Path(name) / f"{number % upscaler.threads}.png"
            size = {"width": result.shape[1], "height": result.shape[0]}
            write_image(target, [result], source=reader, **size, overwrite=True)

        def codecs() -> None:
            list(pool.map(code, range(len(sources))))

        return measure_in_turns({"engine": engine, "run": run, "codecs": codecs}, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="how many of each size (default: 1000)")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[128, 256], help="rows and columns (default: 128 256)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds (default: 3)")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all)"
    )
    add_output(parser, RESULT)
    options = parser.parse_args()

    load = load_average()
    upscaler = Upscaler(threads=options.threads)
    rows = []
    for side in options.sides:
        measured = measure(upscaler, options.images, side, options.repeats)
        print(f"{options.images} images of {side}x{side}")
        print_rows(measured)
        rows += [{"side": side, **row} for row in measured]
    conditions = {name: getattr(options, name) for name in ("images", "threads", "repeats")}
    write_report(options.output, load_before=load, **conditions, rows=rows)


if __name__ == "__main__":
    main()
