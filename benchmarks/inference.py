"""Time and peak memory of enlarging images on a CPU: ours against RLFN, in one run (for ``make bench``).

What is timed is the network: float32 pixels in, float32 pixels out, no file and no conversion of types. On
the first side everything is measured, with one thread and with all. On the others RLFN runs in the forms
that were its fastest there and the engine as a stream, with all threads; the engine with one, too, where
the image is small. Large images have fewer runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict

from dvmsr.evaluation.measuring import measure
from networks import KIB_PER_PIXEL, RLFN_WEIGHTS, VARIANTS, Case, Variant, build
from rows import RESULT, Row, fastest
from workers import add_output, load_average, write_report

SIDES = (256, 64, 512, 1024, 2048)
# Larger images take minutes: with one thread, or in our PyTorch network.
ONE_THREAD_SIDE = 256
DVMSR_TORCH_SIDE = 1024


def choose(side: int, threads: Sequence[int], variants: Sequence[Variant], *, full: bool) -> list[Case]:
    """Return what is measured on one side of image.

    Args:
        side: Rows and columns.
        threads: One, and all; the same where there is but one.
        variants: What is to be measured. What takes too much memory, or too long, is left out.
        full: Whether all of them run with one thread as well.
    """
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024
    cases = []
    for variant in variants:
        if variant.network == "dvmsr-torch" and side > DVMSR_TORCH_SIDE:
            continue
        if KIB_PER_PIXEL[variant.network] * side**2 > 0.9 * free:
            print(f"{variant.network} has too little memory here for {side}x{side}")
            continue
        small = variant.network == "dvmsr-engine" and side <= ONE_THREAD_SIDE
        counts = threads if full or small else threads[-1:]
        cases += [Case(**asdict(variant), threads=count, height=side, width=side) for count in counts]
    return cases


def best_variants(rows: Sequence[Row]) -> list[Variant]:
    """Return what goes on to other sides: RLFN's fastest form in each precision, the engine's stream."""
    threads = max(row.threads for row in rows)

    def goes_on(variant: Variant) -> bool:
        if variant.network == "dvmsr-engine":
            return variant.form == "stream"
        best = fastest(rows, network=variant.network, precision=variant.precision, threads=threads)
        return best is not None and best.form == variant.form

    return [variant for variant in VARIANTS if goes_on(variant)]


def measure_cases(cases: Sequence[Case], side: int, repeats: int) -> list[Row]:
    """Measure images of one side: ``repeats`` runs up to 256x256, fewer of larger ones, one at least."""
    repeats = min(repeats, max(1, repeats * 256 // side))
    measured = measure(build, cases, warm_up=1 if side < 1024 else 0, repeats=repeats)
    return [
        Row(**asdict(case), repeats=repeats, **asdict(result))
        for case, result in zip(cases, measured, strict=True)
    ]


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows, with their time as a ratio to RLFN's best float32 time on as many threads."""
    # Not at the top: the workers import this file too, and their memory is measured.
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"One {rows[0].width}x{rows[0].height} image, medians of {rows[0].repeats}")
    for heading in ("network", "form", "precision"):
        table.add_column(heading)
    for heading in ("threads", "ms", "/ RLFN", "s/MP", "peak MiB"):
        table.add_column(heading, justify="right")
    for row in rows:
        baseline = fastest(rows, network="rlfn-torch", precision="fp32", threads=row.threads)
        table.add_row(
            row.network,
            row.form,
            row.precision,
            str(row.threads),
            f"{1000 * row.seconds:.1f}",
            f"{row.seconds / baseline.seconds:.2f}" if baseline else "",
            f"{row.seconds / row.megapixels:.2f}",
            f"{row.peak_mib:.0f}",
        )
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sides",
        type=int,
        nargs="+",
        default=SIDES,
        help=f"rows and columns of the LR images, from 15; the first in full (default: {SIDES})",
    )
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads besides one (default: all)"
    )
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each case (default: 7)")
    parser.add_argument(
        "--no-compile",
        action="store_true",
        help="leave out torch.compile, which takes some ten seconds for each size and needs a C++ compiler",
    )
    add_output(parser, RESULT)
    options = parser.parse_args()

    if not RLFN_WEIGHTS.exists():
        print("RLFN runs with random weights: its published ones are not in ../shared")
    threads = sorted({1, options.threads})
    load = load_average()
    rows: list[Row] = []
    variants = [v for v in VARIANTS if not (options.no_compile and v.form == "compiled")]
    for side in options.sides:
        cases = choose(side, threads, variants, full=not rows)
        found = measure_cases(cases, side, options.repeats)
        if not rows:
            variants = best_variants(found)
        print_table(found)
        rows += found
        # After each, so that a run that is stopped leaves what it has.
        write_report(options.output, load_before=load, rows=[asdict(row) for row in rows])


if __name__ == "__main__":
    main()
