"""Photographs in memory, and patches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvmsr.errors import DatasetError
from dvmsr.images import READABLE_SUFFIXES, imresize, read_image

SYMMETRIES = 8
"""The flips and rotations of a square."""


def apply_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Flip and rotate an (H, W, channels) image; ``symmetry`` in 0..7, and 0 changes nothing."""
    turned = np.rot90(image, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def undo_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Take back ``apply_symmetry``."""
    return np.rot90(image[:, ::-1] if symmetry >= 4 else image, -(symmetry % 4))


@dataclass(frozen=True)
class Batch:
    """Patches of one step: float32 RGB in [0, 1], channels first."""

    low: Tensor
    """The network's input, (batch, 3, patch, patch)."""

    high: Tensor
    """The ground truth, (batch, 3, scale * patch, scale * patch)."""

    teacher: Tensor | None
    """The teacher's output, as ``high``."""


@dataclass
class Photograph:
    """One photograph: uint8 RGB, (H, W, 3), HR sides multiples of the scale."""

    path: Path
    low: NDArray[np.uint8]
    high: NDArray[np.uint8]
    teacher: NDArray[np.float16] | None = None
    """The teacher's output in [0, 1], not clipped."""


class Photographs:
    """A set of photographs, from which the patches of every step are drawn.

    Args:
        photographs: At least one.
        scale: Enlargement from ``low`` to ``high``.
    """

    def __init__(self, photographs: Sequence[Photograph], scale: int) -> None:
        self.photographs = photographs
        self.scale = scale
        pixels = np.array([photograph.low.size for photograph in photographs], dtype=np.float64)
        self._chances = pixels / pixels.sum()

    def batch(self, seed: int, step: int, size: int, patch: int) -> Batch:
        """Draw the patches of one step: a pure function of seed and step.

        Args:
            seed: The run's seed.
            step: The step's number.
            size: Number of patches.
            patch: Side of an LR patch.
        """
        random = np.random.default_rng((seed, step))
        chosen = random.choice(len(self.photographs), size=size, p=self._chances)
        crops = [self._crop(self.photographs[i], patch, random) for i in chosen]
        with_teacher = all(crop[2] is not None for crop in crops)
        return Batch(
            low=_tensor([crop[0] for crop in crops]),
            high=_tensor([crop[1] for crop in crops]),
            teacher=_tensor([crop[2] for crop in crops]) if with_teacher else None,
        )

    def _crop(
        self, photograph: Photograph, patch: int, random: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        top, left = (int(random.integers(side - patch + 1)) for side in photograph.low.shape[:2])
        symmetry = int(random.integers(SYMMETRIES))

        def cut(image: NDArray[Any], scale: int) -> NDArray[Any]:
            part = image[scale * top : scale * (top + patch), scale * left : scale * (left + patch)]
            return apply_symmetry(part, symmetry)

        teacher = None if photograph.teacher is None else cut(photograph.teacher, self.scale)
        return cut(photograph.low, 1), cut(photograph.high, self.scale), teacher


def _tensor(images: Sequence[NDArray[Any]]) -> Tensor:
    stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    tensor = torch.from_numpy(stacked)
    return tensor.float().div_(255) if stacked.dtype == np.uint8 else tensor.float()


def load_photographs(folders: Sequence[Path], scale: int, patch: int) -> Photographs:
    """Read all photographs of some folders and make their LR images by MATLAB-style bicubic.

    Args:
        folders: Searched for image files, not deeper.
        scale: Enlargement to train for.
        patch: Side of the LR patches to come; smaller photographs are refused.

    Raises:
        DatasetError: A folder is missing or has no image, or a photograph is smaller than a patch.
        ImageReadError: A photograph cannot be read.
    """
    photographs = []
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected a folder of photographs")
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in READABLE_SUFFIXES)
        if not files:
            raise DatasetError(f"{folder}: no image files in it")
        photographs += [_load(file, scale, patch) for file in files]
    return Photographs(photographs, scale)


def _load(file: Path, scale: int, patch: int) -> Photograph:
    image = read_image(file)
    if image.dtype != np.uint8:
        raise DatasetError(f"{file}: expected 8 bits for each channel, got {image.dtype}")
    height, width = (side - side % scale for side in image.shape[:2])
    if min(height, width) < scale * patch:
        raise DatasetError(
            f"{file}: {image.shape[1]}x{image.shape[0]} is smaller than a patch of {scale * patch} pixels"
        )
    high = np.ascontiguousarray(image[:height, :width])
    return Photograph(file, imresize(high, 1 / scale), high)
