"""``dvmsr export``: the network for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvmsr.cli.numbers import whole_number
from dvmsr.cli.options import Debug, Weights
from dvmsr.errors import MissingExtraError

export = typer.Typer(no_args_is_help=True, help="Write the network for other runtimes: ONNX.")


@export.callback()
def _export() -> None:
    """Keep the name of the format a command of its own while there is one."""


@export.command("onnx")
def export_onnx(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.onnx", help="The file to write."),
    ],
    weights: Weights = None,
    opset: Annotated[
        int,
        typer.Option(parser=whole_number(), metavar="N", help="Version of ONNX's operator set, from 17 on."),
    ] = 17,
    fp16: Annotated[
        bool,
        typer.Option("--fp16", help="Store parameters as float16, and multiply in it where the runtime can."),
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", metavar="NAME", help="The weights' licence, for the file's metadata."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Write the network as an ONNX file for images of any size, checked against the engine.

    Example: dvmsr export onnx -o dvmsr_x4.onnx
    """
    try:
        from dvmsr import export as exporting
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxruntime"):
            raise
        raise MissingExtraError(error.name, "onnx", "Exporting to ONNX") from error
    done = exporting.export_onnx(
        output, weights, opset=opset, half=fp16, licence=licence, overwrite=overwrite
    )
    for comparison in done.comparisons:
        size = f"{comparison.width}x{comparison.height}"
        times = comparison.seconds / comparison.engine_seconds
        typer.echo(
            f"{size}: differs from the engine by up to {comparison.difference:.1e}; with one thread "
            f"{comparison.seconds_per_megapixel:.1f} s per megapixel, {times:.1f} times the engine's"
        )
    typer.echo(f"{done.path}: {done.size / 1e6:.2f} MB, largest difference {done.difference:.1e}")
