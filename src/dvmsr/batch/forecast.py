"""What a run will take: time, memory and disk; and refusing before the work what cannot fit.

The engine's speed is measured on this machine. The codecs' figures were measured on a machine with two cores
and AVX-512 on photographs, so that time and disk are about right and no more.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dvmsr.batch.plan import BatchPlan, FileTask
from dvmsr.batch.run import part_by_size
from dvmsr.batch.sources import Failure
from dvmsr.batch.urls import is_url
from dvmsr.images.limits import available_memory
from dvmsr.inference.files import FileOptions
from dvmsr.inference.memory import upscaling_bytes
from dvmsr.inference.sized import pass_sizes
from dvmsr.inference.symmetries import SYMMETRIES
from dvmsr.inference.upscaler import Upscaler

# Python, libvips and the weights.
_BASE_BYTES = 85 << 20
# Of a pixel of the target: seconds of one core, and the part of its bytes that is left.
_CODECS = {
    "png": (20e-9, 0.4),
    "jpg": (12e-9, 0.1),
    "tif": (150e-9, 0.35),
    "webp": (300e-9, 0.05),
    "avif": (6000e-9, 0.05),
    "gif": (1200e-9, 0.18),
}
_CODECS |= {"jpeg": _CODECS["jpg"], "tiff": _CODECS["tif"]}
# The size of what is enlarged to measure the speed: some hundredths of a second.
_PROBE = (48, 96)


@dataclass(frozen=True)
class Forecast:
    """About what a run will take."""

    images: int
    """How many are to be done."""

    pixels: int
    """Pixels of all sources."""

    target_pixels: int
    """Pixels of all targets."""

    seconds: float | None
    """Time; None where it is not known, on a device other than the CPU."""

    memory_bytes: int
    """Peak memory of the process."""

    disk_bytes: int
    """Bytes of all targets."""


def foretell(
    upscaler: Upscaler,
    tasks: Sequence[FileTask],
    options: FileOptions,
    *,
    pixel_seconds: float | None = None,
) -> Forecast:
    """Foretell a run of images of known sizes.

    Measuring the engine's speed takes some hundredths of a second.

    Args:
        upscaler: The network.
        tasks: What is to be done.
        options: How.
        pixel_seconds: The engine's speed if it is known, as of :func:`seconds_per_pixel`.
    """
    seconds = None
    if upscaler.is_native and tasks:
        work = sum(network_pixels(task, upscaler.scale, options) for task in tasks)
        encoding = sum(_target_pixels(task) * _codec(task)[0] for task in tasks)
        if pixel_seconds is None:
            pixel_seconds = seconds_per_pixel(upscaler)
        seconds = work * pixel_seconds + encoding / upscaler.threads
    small, large = part_by_size(upscaler, tasks)
    needs = sorted((task_bytes(upscaler, task, options) for task in small), reverse=True)
    several = sum(needs[: upscaler.threads])
    largest = max((task_bytes(upscaler, task, options) for task in large), default=0)
    return Forecast(
        len(tasks),
        sum(task.width * task.height * task.pictures for task in tasks),
        sum(map(_target_pixels, tasks)),
        seconds,
        _BASE_BYTES + max(several, largest),
        sum(map(_file_bytes, tasks)),
    )


def leave_out_what_cannot_fit(plan: BatchPlan, upscaler: Upscaler, options: FileOptions) -> BatchPlan:
    """Return a plan without the tasks for which memory or disk do not suffice; they have failed.

    What is read from or written to a URL stays.

    Args:
        plan: What is to be done.
        upscaler: The network.
        options: How.
    """
    free = available_memory()
    tasks, failed = [], list(plan.failed)
    for task in plan.tasks:
        if not task.size_is_known or is_url(task.target):
            tasks.append(task)
            continue
        needed, on_disk = task_bytes(upscaler, task, options), _file_bytes(task)
        disk = _free_disk(task.target.parent)
        size = f"{task.target_width}x{task.target_height} pixels"
        if free is not None and needed > free:
            message = f"needs about {_mebi(needed)} MiB of memory, and {_mebi(free)} MiB are free"
        elif disk is not None and on_disk > disk:
            message = f"needs about {_mebi(on_disk)} MiB on disk, and {_mebi(disk)} MiB are free; free some"
        else:
            tasks.append(task)
            continue
        failed.append(Failure(task.source, f"{task.source}: {size} of {task.target.suffix[1:]} {message}"))
    return replace(plan, tasks=tuple(tasks), failed=tuple(failed))


def network_pixels(task: FileTask, scale: int, options: FileOptions) -> int:
    """Return how many pixels the network gets, all passes, pages and frames; 0 where no size is known."""
    if not task.size_is_known:
        return 0
    passes = pass_sizes((task.width, task.height), (task.target_width, task.target_height), scale)
    times = task.pictures * (SYMMETRIES if options.self_ensemble else 1)
    return times * sum(width * height for width, height in passes)


def seconds_per_pixel(upscaler: Upscaler) -> float:
    """Measure how long the engine takes for a pixel of the source, with all its threads."""
    image = np.random.default_rng(0).random((*_PROBE, 3), np.float32)
    times = []
    for _ in range(2):  # the first wakes the processor
        start = time.perf_counter()
        upscaler.upscale(image)
        times.append(time.perf_counter() - start)
    return times[-1] / (_PROBE[0] * _PROBE[1])


def task_bytes(upscaler: Upscaler, task: FileTask, options: FileOptions) -> int:
    """Return about how much memory a task takes beside what every process does.

    Args:
        upscaler: The network.
        task: What is to be done.
        options: How.
    """
    return upscaling_bytes(
        upscaler,
        (task.width, task.height),
        task.target,
        (task.target_width, task.target_height),
        options,
        decoding_bytes=task.decoding_bytes,
        pixel_bytes=task.pixel_bytes,
        has_alpha=task.has_alpha,
    )


def _codec(task: FileTask) -> tuple[float, float]:
    return _CODECS[task.target.suffix.lower()[1:]]


def _target_pixels(task: FileTask) -> int:
    return task.target_width * task.target_height * task.pictures


def _file_bytes(task: FileTask) -> int:
    return round(_target_pixels(task) * task.pixel_bytes * _codec(task)[1])


def _free_disk(folder: Path) -> int | None:
    """What is free where a folder is or will be; None where files are not kept on a disk, as in /proc."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else None


def _mebi(count: float) -> str:
    return f"{count / (1 << 20):,.0f}"
