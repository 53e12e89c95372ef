"""The patches of every step."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dvmsr.degradations import Degradation
from dvmsr.errors import ArgumentError
from dvmsr.inference.symmetries import SYMMETRIES, apply_symmetry
from dvmsr.training.degrading import draw_degradation
from dvmsr.training.photographs import Photograph, open_pixels
from dvmsr.training.settings import TrainingConfig

# LR pixels around a patch that are degraded with it: what blur, reduction and blocks reach.
_MARGIN = 8
# Of a patch's random numbers, the place among those for other purposes.
_DEGRADATION = 1

_Place = tuple[int, int, int, int]
"""The number of a photograph, top, left, and the number of a symmetry."""


class Places(NamedTuple):
    """Where the patches of one step lie: int64, one row for each of photograph, top, left and symmetry."""

    pairs: Tensor
    """Of input and ground truth, in LR pixels, (batch, 4)."""

    teacher_only: Tensor
    """Of further input, in HR pixels, (number, 4)."""


class Batch(NamedTuple):
    """Patches of one step, RGB with the channels first; uint8, and the teacher's output float16 in [0, 1]."""

    low: Tensor
    """The network's input, (batch, 3, patch, patch)."""

    high: Tensor
    """The ground truth, (batch, 3, scale * patch, scale * patch)."""

    teacher: Tensor | None
    """The teacher's stored output, as ``high``; None: all of it is to be made, or there is no teacher."""

    teacher_only: Tensor | None
    """More input, of which there is no ground truth, as ``low``."""


class PatchBatches(Dataset[Batch]):
    """The batch of each step: patch number i of step s is a pure function of the seed, s and i.

    So a run can be stopped and continued anywhere, by any number of processes, and sees the same patches.

    Args:
        photographs: What to cut from, each as likely as it has pixels.
        config: See :class:`TrainingConfig`.
        rank: Which part of each batch to make.
        world: Into how many parts the batches are split.

    Raises:
        ArgumentError: Batches do not split evenly.
    """

    def __init__(
        self, photographs: Sequence[Photograph], config: TrainingConfig, rank: int, world: int
    ) -> None:
        check_split(config, world)
        self._photographs = photographs
        self._seed = config.run.seed
        self._patch = config.data.patch
        self._scale = config.network.scale
        self._degradation = config.degradation
        self._networks = len(config.teacher.weights)
        self._pairs = _part(0, config.run.batch, rank, world)
        self._teacher_only = _part(config.run.batch, config.teacher.teacher_only, rank, world)
        pixels = np.array([photograph.low.size for photograph in photographs], dtype=np.float64)
        self._shares = np.cumsum(pixels) / pixels.sum()

    def places(self, step: int) -> Places:
        """Return where the patches of a step lie."""
        pairs = [self._place(step, index, 1) for index in self._pairs]
        teacher_only = [self._place(step, index, self._scale) for index in self._teacher_only]
        return Places(*(torch.tensor(some, dtype=torch.int64).view(-1, 4) for some in (pairs, teacher_only)))

    def __getitem__(self, step: int) -> Batch:
        pairs = [self._pair(step, index) for index in self._pairs]
        teacher_only = [self._upright_input(step, index) for index in self._teacher_only]
        outputs = [teacher for _, _, teacher in pairs if teacher is not None]
        return Batch(
            low=_tensor([low for low, _, _ in pairs]),
            high=_tensor([high for _, high, _ in pairs]),
            teacher=_tensor(outputs) if outputs else None,
            teacher_only=_tensor(teacher_only) if teacher_only else None,
        )

    def _pair(self, step: int, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        number, top, left, symmetry = self._place(step, index, 1)
        photograph = self._photographs[number]

        def cut(image: NDArray[Any], scale: int) -> NDArray[Any]:
            rows = slice(scale * top, scale * (top + self._patch))
            columns = slice(scale * left, scale * (left + self._patch))
            return apply_symmetry(image[rows, columns], symmetry)

        random = np.random.default_rng((self._seed, step, index, _DEGRADATION))
        degradation = draw_degradation(self._degradation, random)
        made, image = (
            None if pixels is None else cut(open_pixels(pixels), self._scale)
            for pixels in (photograph.teacher, photograph.teacher_image)
        )
        return (
            cut(photograph.low, 1)
            if degradation is None
            else apply_symmetry(self._degraded(photograph, top, left, degradation, random), symmetry),
            cut(open_pixels(photograph.high), self._scale),
            mean_of_teachers(made, image, self._networks),
        )

    def _degraded(
        self,
        photograph: Photograph,
        top: int,
        left: int,
        degradation: Degradation,
        random: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """The LR patch at a place, with a margin on its way, so that its border is not the image's."""
        height, width, _ = photograph.low.shape
        first_row, first_column = max(0, top - _MARGIN), max(0, left - _MARGIN)
        rows = slice(self._scale * first_row, self._scale * min(height, top + self._patch + _MARGIN))
        columns = slice(self._scale * first_column, self._scale * min(width, left + self._patch + _MARGIN))
        low = degradation.apply(open_pixels(photograph.high)[rows, columns], self._scale, random)
        top, left = top - first_row, left - first_column
        return low[top : top + self._patch, left : left + self._patch]

    def _upright_input(self, step: int, index: int) -> NDArray[Any]:
        number, top, left, symmetry = self._place(step, index, self._scale)
        high = open_pixels(self._photographs[number].high)
        return apply_symmetry(high[top : top + self._patch, left : left + self._patch], symmetry)

    def _place(self, step: int, index: int, scale: int) -> _Place:
        """Where a patch lies in an image ``scale`` times as large as the network's input."""
        random = np.random.default_rng((self._seed, step, index))
        number = int(np.searchsorted(self._shares, random.random(), side="right"))
        number = min(number, len(self._photographs) - 1)
        height, width, _ = self._photographs[number].low.shape
        top, left = (int(random.integers(scale * side - self._patch + 1)) for side in (height, width))
        return number, top, left, int(random.integers(SYMMETRIES))


def mean_of_teachers(
    made: NDArray[Any] | None, image: NDArray[Any] | None, networks: int
) -> NDArray[np.float16] | None:
    """Return the mean of what networks made, itself a mean, and what the folder holds."""
    if image is None:
        return made
    given = np.divide(image, np.iinfo(image.dtype).max, dtype=np.float32)
    if made is not None:
        given = (networks * made.astype(np.float32) + given) / (networks + 1)
    rounded: NDArray[np.float16] = given.astype(np.float16)
    return rounded


class PatchPlaces(Dataset[Places]):
    """Where the patches of each step lie, for those who have the photographs.

    Args:
        batches: What would be cut from there.
    """

    def __init__(self, batches: PatchBatches) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> Places:
        return self._batches.places(step)


class StepLoader:
    """The batches from one step to the last, in the form that Lightning resumes in the middle of an epoch.

    Args:
        batches: What to take them from: themselves, or where they lie.
        first: The step to begin with.
        steps: The number of all steps.
        workers: Processes that make batches ahead of time; 0 makes each when it is asked for.
    """

    def __init__(self, batches: PatchBatches | PatchPlaces, first: int, steps: int, workers: int) -> None:
        self._batches = batches
        self._first = first
        self._steps = steps
        self._workers = workers

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch | Places]:
        # Forked workers share the decoded photographs; spawned ones would copy them.
        fork = self._workers and "fork" in multiprocessing.get_all_start_methods()
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self._first, self._steps),
            num_workers=self._workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_ignore_interrupts,
            multiprocessing_context="fork" if fork else None,
        )
        return iter(loader)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: where to go on says the checkpoint's step, which ``first`` was made from."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :meth:`state_dict`."""


def check_split(config: TrainingConfig, world: int) -> None:
    """Check that batches can be shared out to ``world`` processes.

    Raises:
        ArgumentError: They cannot.
    """
    for name, count in (
        ("run.batch", config.run.batch),
        ("teacher.teacher_only", config.teacher.teacher_only),
    ):
        if count % world:
            raise ArgumentError(f"{name} is {count}, but must be a multiple of the {world} processes")


def _ignore_interrupts(_worker: int) -> None:
    # A terminal sends Ctrl-C to workers too, and the step that is then still to be finished needs them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _part(first: int, count: int, rank: int, world: int) -> range:
    share = count // world
    return range(first + rank * share, first + (rank + 1) * share)


def _tensor(images: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))
