"""``dvmsr upscale``: image files in, larger image files out."""

from __future__ import annotations

import gc
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.options import Debug, Device, Precision, Residual, Threads, Weights, read_weights
from dvmsr.errors import DvmsrError

if TYPE_CHECKING:
    from dvmsr.engine import Profile


class ImageFormat(str, Enum):
    """Formats that can be written."""

    PNG = "png"
    JPEG = "jpg"
    TIFF = "tif"
    WEBP = "webp"
    AVIF = "avif"


class AlphaMethod(str, Enum):
    """How transparency is enlarged."""

    NETWORK = "network"
    BICUBIC = "bicubic"


def upscale(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Image files, or folders of image files.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="For one image, the file to write, its format by its suffix; or a folder. "
            "By default NAME_x4 beside the image; for a folder FOLDER, the folder FOLDER_x4.",
        ),
    ] = None,
    weights: Weights = None,
    residual: Residual = None,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    image_format: Annotated[
        ImageFormat | None, typer.Option("--format", help="Format to write. By default that of each input.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    alpha: Annotated[
        AlphaMethod,
        typer.Option(
            "--alpha",
            help="How transparency is enlarged: by the network like the colours, which takes as long again; "
            "or by bicubic interpolation.",
        ),
    ] = AlphaMethod.NETWORK,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the CPU engine's time goes, beside its floor.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Enlarge images, with their transparency, colour profile and EXIF data."""
    from dvmsr.cli.progress import FileProgress, megapixels
    from dvmsr.inference.files import plan_files, upscale_file
    from dvmsr.inference.upscaler import Upscaler

    profiles: list[Profile] = []
    # What was imported stays to the end: searching it for garbage then takes 25 ms, a twelfth of what
    # a small image takes.
    gc.freeze()
    upscaler = Upscaler(read_weights(weights, residual), device, threads, precision)
    suffix = f".{image_format.value}" if image_format else None
    tasks = plan_files(inputs, output, scale=upscaler.scale, suffix=suffix)
    failed = []
    seconds = 0.0
    for number, task in enumerate(tasks, start=1):
        label = task.source.name if len(tasks) == 1 else f"[{number}/{len(tasks)}] {task.source.name}"
        try:
            with FileProgress(label) as progress:
                done = upscale_file(
                    upscaler,
                    task.source,
                    task.target,
                    overwrite=overwrite,
                    alpha=alpha.value,
                    progress=progress.update,
                    on_profile=profiles.append if profile else None,
                )
        except DvmsrError as error:
            if debug or len(tasks) == 1:
                raise
            typer.echo(f"dvmsr: error: {error}", err=True)
            failed.append(task.source)
            continue
        seconds += done.seconds
        typer.echo(
            f"{done.source} {done.width}x{done.height} -> "
            f"{done.target} {done.scale * done.width}x{done.scale * done.height} in {done.seconds:.2f} s "
            f"({megapixels(done.width * done.height / done.seconds)}/s)"
        )
        if profile:
            from dvmsr.cli.profile import print_profile

            print_profile(profiles.pop())
    if len(tasks) > 1:
        typer.echo(f"{len(tasks) - len(failed)} of {len(tasks)} images enlarged in {seconds:.2f} s")
    if failed:
        names = ", ".join(map(str, failed))
        typer.echo(f"dvmsr: error: {len(failed)} of {len(tasks)} images failed: {names}", err=True)
        raise typer.Exit(2)
