"""Photographs that lie in a GPU's memory, and the patches that are cut there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvmsr.inference.symmetries import SYMMETRIES, apply_symmetry
from dvmsr.training.patches import Batch, Places, mean_of_teachers
from dvmsr.training.photographs import Photograph, open_pixels
from dvmsr.training.settings import TrainingConfig

_BYTES_OF_OUTPUT = 2


def bytes_on_gpu(photographs: Sequence[Photograph]) -> int:
    """Return what :class:`ResidentPhotographs` takes."""
    total = 0
    for photograph in photographs:
        values = open_pixels(photograph.high).size
        total += photograph.low.size + values
        if photograph.teacher is not None or photograph.teacher_image is not None:
            total += _BYTES_OF_OUTPUT * values
    return total


class ResidentPhotographs:
    """Cuts patches out of photographs in a device's memory.

    Args:
        photographs: What to cut from.
        config: See :class:`TrainingConfig`.
        device: Where to put them.
    """

    def __init__(
        self, photographs: Sequence[Photograph], config: TrainingConfig, device: torch.device
    ) -> None:
        scale, patch = config.network.scale, config.data.patch
        networks = len(config.teacher.weights)
        self._to_high = torch.tensor([1, scale, scale, 1], device=device)

        def low(photograph: Photograph) -> NDArray[Any]:
            return photograph.low

        def high(photograph: Photograph) -> NDArray[Any]:
            return open_pixels(photograph.high)

        def output(photograph: Photograph) -> NDArray[Any] | None:
            made, image = (
                None if pixels is None else open_pixels(pixels)
                for pixels in (photograph.teacher, photograph.teacher_image)
            )
            return mean_of_teachers(made, image, networks)

        self._low = _Images(photographs, low, 1, patch, device)
        self._high = _Images(photographs, high, scale, scale * patch, device)
        self._inputs = self._high.with_side(patch)
        first = photographs[0]
        has_teacher = first.teacher is not None or first.teacher_image is not None
        self._teacher = _Images(photographs, output, scale, scale * patch, device) if has_teacher else None

    def cut(self, places: Places) -> Batch:
        """Return the batch of these places, which are on the device: the one that ``PatchBatches`` makes."""
        in_high = places.pairs * self._to_high
        return Batch(
            low=self._low.cut(places.pairs),
            high=self._high.cut(in_high),
            teacher=None if self._teacher is None else self._teacher.cut(in_high),
            teacher_only=self._inputs.cut(places.teacher_only) if len(places.teacher_only) else None,
        )


class _Images:
    """One image of each photograph, all their pixels in one tensor.

    Args:
        photographs: Which.
        image_of: Gives the image, (H, W, 3); it is asked once.
        scale: How many times as large as the network's input it is.
        side: Of the patches to cut.
        device: Where the pixels lie.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        image_of: Callable[[Photograph], NDArray[Any] | None],
        scale: int,
        side: int,
        device: torch.device,
    ) -> None:
        sizes = scale * np.array([photograph.low.shape[:2] for photograph in photographs])
        ends = np.cumsum(sizes.prod(axis=1))
        firsts = ends - sizes.prod(axis=1)
        for photograph, first, end in zip(photographs, firsts, ends, strict=True):
            # A copy: decoders give arrays that cannot be written.
            pixels = torch.tensor(image_of(photograph)).reshape(-1, 3)
            if first == 0:
                self._pixels = pixels.new_empty((int(ends[-1]), 3), device=device)
            self._pixels[first:end] = pixels
        self._firsts = torch.from_numpy(firsts).to(device)
        self._widths = torch.from_numpy(sizes[:, 1]).to(device)
        self._set_side(side)

    def _set_side(self, side: int) -> None:
        """Note where the pixels of a turned patch come from, one table for each symmetry."""
        rows, columns = np.indices((side, side))
        self._rows, self._columns = (
            torch.tensor(
                np.stack([apply_symmetry(index[..., None], n)[..., 0] for n in range(SYMMETRIES)])
            ).to(self._pixels.device)
            for index in (rows, columns)
        )

    def with_side(self, side: int) -> _Images:
        """Return the same images, to cut smaller patches from."""
        other = copy.copy(self)
        other._set_side(side)
        return other

    def cut(self, places: Tensor) -> Tensor:
        """Return the patches, (number, 3, side, side)."""
        numbers, tops, lefts, symmetries = places.unbind(1)
        rows = tops[:, None, None] + self._rows[symmetries]
        columns = lefts[:, None, None] + self._columns[symmetries]
        firsts, widths = (of_images[numbers][:, None, None] for of_images in (self._firsts, self._widths))
        return self._pixels[firsts + rows * widths + columns].permute(0, 3, 1, 2).contiguous()
