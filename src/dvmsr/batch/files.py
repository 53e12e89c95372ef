"""Enlarging many files in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from dvmsr.batch.events import Progress
from dvmsr.batch.forecast import leave_out_what_cannot_fit
from dvmsr.batch.plan import plan_files
from dvmsr.batch.report import BatchReport
from dvmsr.batch.run import run_tasks
from dvmsr.batch.urls import as_path
from dvmsr.images import Encoding
from dvmsr.images.limits import MAX_PIXELS
from dvmsr.inference.files import FileOptions
from dvmsr.inference.sizes import asked_size
from dvmsr.inference.upscaler import Upscaler
from dvmsr.weights import Weights


def upscale_files(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    scale: float | None = None,
    size: str | None = None,
    format: str | None = None,
    quality: int | None = None,
    lossless: bool = False,
    alpha: str = "network",
    pages: str = "first",
    self_ensemble: bool = False,
    compare: bool = False,
    recursive: bool = False,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    model: str = "clean",
    strength: float = 1.0,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    progress: Callable[[int, int], object] | None = None,
) -> BatchReport:
    """Enlarge the images of folders, or a list of image files, as ``dvmsr upscale`` does.

    Small images are done several at a time, large ones one after the other. What fails does not stop the
    others. Called again it goes on: what is finished is not done again. Naming is described in
    docs/folders.md.

    Args:
        inputs: Image files, folders of images, patterns such as ``"photos/*.jpg"``, and URLs of files or
            folders such as ``"s3://bucket/photos"``.
        output: The folder to write to, created if missing; for a single image a file; or a URL of either. By
            default NAME_x4 beside each image, and for a folder FOLDER the folder FOLDER_x4; for a URL none.
        scale: How many times larger each side becomes, above 1 up to 16; by default as the network does it.
        size: Instead, what each is to fit into: ``"3840x2160"``, ``"3840x"``, ``"x2160"``, ``"long=4000"``.
        format: Format to write: "png", "jpg", "tif", "webp" or "avif"; by default that of each image.
        quality: Detail to keep in JPEG, WebP and AVIF files, from 1 to 100.
        lossless: Whether nothing may be lost in WebP and AVIF files either.
        alpha: How transparency is enlarged: "network" or "bicubic".
        pages: Which pages or frames of a file are enlarged: "first" or "all".
        self_ensemble: Whether to average over the flips and rotations: 8 times the work, and much memory.
        compare: Whether a picture of before and after is written beside each result.
        recursive: Whether the folders in a folder are gone through as well.
        overwrite: Whether existing files are replaced, finished ones too. No image of ``inputs`` ever is.
        max_pixels: Most pixels of an image.
        model: Which of the shipped networks: "clean", "photo" for images with the traces of JPEG, noise and
            blur, or "auto", which chooses for each image by what it lost.
        strength: How far from the clean to the photo network, from 0 to 1; only for "photo".
        weights: See ``Upscaler``.
        device: See ``Upscaler``.
        threads: See ``Upscaler``.
        precision: See ``Upscaler``.
        progress: Called now and then with the number of finished pixels of all images, and of all.

    Returns:
        What became of every file: ``files`` were enlarged, ``finished`` before, ``passed_over`` or
        ``failed``.

    Raises:
        ArgumentError: An argument is none of these.
        DatasetError: There is no image in what was named.
        WeightsError: The file of weights is missing, damaged or of another network.
        MissingExtraError: The device needs PyTorch, and it is not installed.
    """
    named = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    options = FileOptions(
        size=asked_size(scale, size),
        encoding=Encoding(quality, lossless),
        alpha=alpha,
        pages=pages,
        self_ensemble=self_ensemble,
        compare=compare,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    upscaler = Upscaler(weights, device, threads, precision, model=model, strength=strength)
    plan = plan_files(
        named,
        None if output is None else as_path(output),
        scale=upscaler.scale,
        options=options,
        suffix=None if format is None else f".{format.lower().lstrip('.')}",
        recursive=recursive,
    )
    plan = leave_out_what_cannot_fit(plan, upscaler, options)
    report = BatchReport.of_plan(plan)
    total = sum(task.work for task in plan.tasks)
    finished = 0
    under_way: dict[Path, int] = {}
    for event in run_tasks(upscaler, plan.tasks, options):
        task = event.task
        if isinstance(event, Progress):
            under_way[task.source] = event.finished
        else:
            under_way.pop(task.source, None)
            finished += task.work
            report.add(event)
        if progress is not None:
            progress(finished + sum(under_way.values()), total)
    return report
