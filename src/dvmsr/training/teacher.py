"""The teacher's outputs, made once for whole photographs before training.

A teacher that is averaged over the flips and rotations of its input gives the same output for a
flipped photograph as flipping its output, so patches of the stored outputs fit every augmentation.
The student's step then costs no teacher at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.inference import Upscaler
from dvmsr.training.photographs import SYMMETRIES, Photographs, apply_symmetry, undo_symmetry


def add_teacher(
    photographs: Photographs,
    teachers: Sequence[Path],
    cache: Path,
    *,
    threads: int | None = None,
    report: Callable[[str], object] = print,
) -> None:
    """Give every photograph the mean of the teachers' outputs, each averaged over the 8 symmetries.

    Args:
        photographs: Get their ``teacher``.
        teachers: Files of weights of the photographs' scale.
        cache: Folder that keeps the outputs, so that they are made only once.
        threads: See ``Upscaler``.
        report: Gets a line of text now and then.

    Raises:
        ArgumentError: A teacher is of another scale.
        WeightsError: A file of weights is missing, damaged or of another network.
    """
    upscalers = [Upscaler(path, threads=threads) for path in teachers]
    for path, upscaler in zip(teachers, upscalers, strict=True):
        if upscaler.scale != photographs.scale:
            raise ArgumentError(f"{path}: a teacher of scale {upscaler.scale}, expected {photographs.scale}")
    names = "-".join(hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in teachers)
    cache.mkdir(parents=True, exist_ok=True)
    count = len(photographs.photographs)
    for i, photograph in enumerate(photographs.photographs):
        key = hashlib.sha256(photograph.low.tobytes()).hexdigest()[:24]
        file = cache / f"{names}-{key}.npy"
        if file.exists():
            photograph.teacher = np.load(file)
            continue
        photograph.teacher = _self_ensemble(upscalers, photograph.low)
        temporary = file.with_suffix(".part.npy")
        np.save(temporary, photograph.teacher)
        os.replace(temporary, file)
        if (i + 1) % 20 == 0 or i + 1 == count:
            report(f"teacher: {i + 1} of {count} photographs")


def _self_ensemble(upscalers: Sequence[Upscaler], low: NDArray[np.uint8]) -> NDArray[np.float16]:
    image = low.astype(np.float32) / 255
    outputs = [
        undo_symmetry(upscaler.upscale(np.ascontiguousarray(apply_symmetry(image, symmetry))), symmetry)
        for upscaler in upscalers
        for symmetry in range(SYMMETRIES)
    ]
    total = np.zeros_like(outputs[0])
    for output in outputs:
        total += output
    return (total / len(outputs)).astype(np.float16)
