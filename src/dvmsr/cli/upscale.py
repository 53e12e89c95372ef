"""``dvmsr upscale``: image files in, larger image files out."""

from __future__ import annotations

import gc
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dvmsr.cli.numbers import whole_number
from dvmsr.cli.options import (
    NETWORK_PANEL,
    Alpha,
    AlphaMethod,
    Debug,
    Device,
    Model,
    ModelName,
    Precision,
    Residual,
    Scale,
    Size,
    Strength,
    Threads,
    Weights,
    read_network,
)
from dvmsr.errors import ArgumentError

# Where the help shows what.
_FILES, _RESULT = "Files and folders", "What is written"


class ImageFormat(str, Enum):
    """Formats that can be written."""

    PNG = "png"
    JPG = "jpg"
    JPEG = "jpeg"
    TIF = "tif"
    TIFF = "tiff"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"


class Pages(str, Enum):
    """Which pages or frames of a file are enlarged."""

    FIRST = "first"
    ALL = "all"


def _cluster_address(text: str) -> str:
    from dvmsr.cluster import ClusterSettings

    try:
        return ClusterSettings(text).address
    except ArgumentError as error:
        # An image is named there easily.
        raise typer.BadParameter(f"{error}; name images and folders before --ray") from error


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help='Image files, folders, patterns such as "*.jpg", URLs such as s3://bucket/folder; - is '
            "standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="For one image, the file to write, its format by its suffix; or a folder; or a URL; - is "
            "standard output. By default NAME_x4 beside the image; for a folder FOLDER, FOLDER_x4.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    scale: Scale = None,
    size: Size = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", "-r", help="Go through the folders in a folder, too.", rich_help_panel=_FILES
        ),
    ] = False,
    image_format: Annotated[
        ImageFormat | None,
        typer.Option(
            "--format", help="Format to write. By default that of each input.", rich_help_panel=_RESULT
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(1, 100),
            metavar="1-100",
            help="Detail to keep in JPEG (95), WebP (95) and AVIF (90) files.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    lossless: Annotated[
        bool,
        typer.Option(
            "--lossless", help="Lose nothing in WebP and AVIF files either.", rich_help_panel=_RESULT
        ),
    ] = False,
    alpha: Alpha = AlphaMethod.NETWORK,
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble",
            help="Average over the 8 flips and rotations: better, 8 times the work, the image in memory.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    pages: Annotated[
        Pages,
        typer.Option(
            "--pages",
            help="Of files with several pages or frames, the first or all: pages into a TIFF file, frames "
            "into an animated WebP file, or GIF with --format gif.",
            rich_help_panel=_FILES,
        ),
    ] = Pages.FIRST,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels",
            parser=whole_number(1),
            metavar="N",
            help="Most pixels of an image that is taken; 500 million by default.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Write RESULT_compare.png as well: on the left by bicubic interpolation, on the right ours.",
            rich_help_panel=_RESULT,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace existing output files, finished ones too.", rich_help_panel=_FILES
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.json",
            help="Write what became of every file, with hashes.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    model: Model = None,
    strength: Strength = None,
    weights: Weights = None,
    residual: Residual = None,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Show where the CPU engine's time goes, beside its floor.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            parser=_cluster_address,
            help="Let the machines of a Ray cluster do it, with --threads for each image (1). What follows "
            "is its address: HOST:PORT, ray://HOST:PORT, or local for this machine alone. Where an option "
            "follows, or nothing, it is the cluster that this machine belongs to.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Enlarge images, with their transparency, colour profile and EXIF data."""
    from dvmsr.batch.urls import as_path
    from dvmsr.cli.batch import Settings, run_batch
    from dvmsr.images import Encoding
    from dvmsr.images.limits import MAX_PIXELS
    from dvmsr.inference.files import FileOptions
    from dvmsr.inference.sizes import asked_size

    # What was imported stays to the end: searching it for garbage then takes 25 ms, a twelfth of what
    # a small image takes.
    gc.freeze()
    options = FileOptions(
        size=asked_size(scale, size),
        encoding=Encoding(quality, lossless),
        alpha=alpha.value,
        pages=pages.value,
        self_ensemble=self_ensemble,
        max_pixels=max_pixels or MAX_PIXELS,
        compare=compare,
        overwrite=overwrite,
    )
    network = read_network(weights, residual, model, strength, ModelName.AUTO)
    cluster = None
    if ray is not None:
        if device != "cpu" or profile:
            raise ArgumentError(
                "--ray computes on CPUs and takes no profile: leave out --device and --profile"
            )
        from dvmsr.cluster import ClusterSettings

        cluster = ClusterSettings(
            ray,
            network.weights,
            threads or 1,
            precision,
            model=network.model,
            strength=network.strength,
        )
        cluster.check_answer()
    settings = Settings(
        options=options,
        output=None if output is None else as_path(output),
        suffix=f".{image_format.value}" if image_format else None,
        recursive=recursive,
        report=report,
        profile=profile,
        debug=debug,
        cluster=cluster,
    )
    if run_batch(network.upscaler(device, threads, precision), inputs, settings).failed:
        raise typer.Exit(2)
