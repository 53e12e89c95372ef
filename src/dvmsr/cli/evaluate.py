"""``dvmsr evaluate``: scores on benchmark sets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import typer

from dvmsr.cli.options import Debug, Device, Precision, Residual, Threads, Weights, read_weights
from dvmsr.errors import ArgumentError


def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help="Benchmark sets: folders with HR/ and LR/, their names paired."),
    ],
    weights: Weights = None,
    residual: Residual = None,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the scores to this file; - is standard output.")
    ] = None,
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Score the network on benchmark sets: PSNR and SSIM of the luma channel, PSNR of RGB."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dvmsr.evaluation.benchmark import ImageScore, check_sets, make_report, score_set
    from dvmsr.evaluation.datasets import open_sets
    from dvmsr.inference.upscaler import Upscaler
    from dvmsr.weights import shipped_weights

    to_stdout = json_file == Path("-")
    # The table makes room for JSON on standard output.
    console = Console(stderr=to_stdout)
    # Before the work, not after it.
    if json_file is not None and not to_stdout and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise ArgumentError(f"{json_file}: cannot be written: it is a folder, or its folder is missing")
    sets = open_sets(folders)
    upscaler = Upscaler(read_weights(weights, residual), device, threads, precision)
    check_sets(sets, upscaler.scale)
    table = Table("Set", "Images", "PSNR-Y (dB)", "SSIM-Y", "PSNR-RGB (dB)", "Seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    scores = []
    for number, benchmark in enumerate(sets, start=1):
        label, total = f"[{number}/{len(sets)}] {benchmark.name}", len(benchmark.pairs)
        done = itertools.count(1)
        with console.status(escape(f"{label}: 0 of {total} images")) as status:

            def show(_: ImageScore) -> None:
                status.update(escape(f"{label}: {next(done)} of {total} images"))  # noqa: B023 - called here

            score = score_set(upscaler, benchmark, on_image=show)
        scores.append(score)
        table.add_row(
            score.name,
            str(len(score.images)),
            f"{score.psnr_y:.3f}",
            f"{score.ssim_y:.4f}",
            f"{score.psnr_rgb:.3f}",
            f"{score.seconds:.2f}",
        )
    console.print(table)
    if json_file is None:
        return
    report = json.dumps(make_report(str(weights or shipped_weights().name), scores), indent=2)
    if to_stdout:
        typer.echo(report)
        return
    try:
        json_file.write_text(report + "\n", encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"{json_file}: cannot be written: {error.strerror}") from error
