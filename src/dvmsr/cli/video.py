"""``dvmsr video``: a video in, a larger video out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvmsr.cli.numbers import whole_number
from dvmsr.cli.options import (
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
from dvmsr.errors import ArgumentError, MissingExtraError

# Where the help shows what.
_PART, _RESULT, _FILES = "What is taken", "What is written", "Files"


def video(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A video, or an animated GIF, WebP or PNG file.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write, its format by its suffix: mp4, m4v, mov, mkv, webm; gif, webp, png.",
        ),
    ],
    scale: Scale = None,
    size: Size = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="h264, h265, av1, vp9, prores, ffv1, or FFmpeg's name of an encoder. By default H.264; "
            "H.265 for more than 8 bits or 4096x2304; VP9 in WebM files.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            "--crf",
            parser=whole_number(0, 63),
            metavar="0-63",
            help="Quality: less is better and larger. By default 18 for H.264, 20 for H.265.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="The encoder's effort, such as veryfast or slow. By default medium.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(
            "--pix-fmt",
            metavar="NAME",
            help="How pixels are stored, such as yuv444p. By default yuv420p, or of 10 bits yuv420p10le.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    alpha: Alpha = AlphaMethod.NETWORK,
    apply_rotation: Annotated[
        bool,
        typer.Option(
            "--apply-rotation",
            help="Turn the pixels, where the file says that it is shown turned.",
            rich_help_panel=_RESULT,
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="Begin here: 12.5 (seconds), 1:30 or 1:02:03.5.",
            rich_help_panel=_PART,
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="End here.", rich_help_panel=_PART)
    ] = None,
    preview: Annotated[
        int | None,
        typer.Option(
            "--preview",
            parser=whole_number(1, 1000),
            metavar="N",
            help="Only enlarge N frames, as pictures of before and after.",
            rich_help_panel=_PART,
        ),
    ] = None,
    deinterlace: Annotated[
        bool,
        typer.Option(
            "--deinterlace", help="Make one picture of the two fields of a frame.", rich_help_panel=_PART
        ),
    ] = False,
    segment: Annotated[
        int | None,
        typer.Option(
            "--segment",
            parser=whole_number(1),
            metavar="N",
            help="Frames between places from which a run that was ended goes on.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.", rich_help_panel=_FILES)
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.json",
            help="Write what was made, lost and saved.",
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
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Enlarge a video, with its sound, subtitles, chapters and colours. Called again, it goes on."""
    try:
        from dvmsr.video import VideoOptions, parse_time
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise MissingExtraError("av", "video", "Enlarging videos") from error
    from dvmsr.cli.video_run import check_report_file, run_preview, run_video
    from dvmsr.inference.sizes import asked_size

    options = VideoOptions(
        size=asked_size(scale, size),
        codec=codec,
        crf=crf,
        preset=preset,
        pixel_format=pixel_format,
        start=None if start is None else parse_time(start),
        end=None if end is None else parse_time(end),
        deinterlace=deinterlace,
        apply_rotation=apply_rotation,
        alpha=alpha.value,
        segment_frames=segment,
        overwrite=overwrite,
    )
    if report is not None:
        if preview is not None:
            raise ArgumentError("--report is of a whole video: leave it out with --preview")
        check_report_file(report, source, output)
    if model is ModelName.AUTO:
        raise ArgumentError(
            "--model auto is for pictures: how much a video lost is not known; name clean or photo, which "
            "--preview 2 lets you compare"
        )
    network = read_network(weights, residual, model, strength, ModelName.CLEAN)
    upscaler = network.upscaler(device, threads, precision)
    if preview is not None:
        run_preview(upscaler, source, output, preview, options)
    elif not run_video(upscaler, source, output, options, report):
        raise typer.Exit(2)
