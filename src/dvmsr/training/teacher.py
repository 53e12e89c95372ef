"""The teacher: a frozen ensemble, whose outputs are made once for whole photographs or in each step.

An output that is averaged over the flips and rotations of its input turns with it, so patches of
stored outputs fit every augmentation, and the student's step then costs no teacher at all. Without
that average, a stored output is the teacher's for the upright photograph, and turns with the patch.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dvmsr.errors import ArgumentError
from dvmsr.evaluation.networks import NetworkUpscaler, build_network
from dvmsr.inference import Upscaler
from dvmsr.inference.symmetries import SYMMETRIES, average_symmetries
from dvmsr.kernels.resources import threads_for_pytorch
from dvmsr.model import DVMSR
from dvmsr.plugins import called, load_plugin
from dvmsr.training.photographs import Photograph, open_pixels, save_array
from dvmsr.training.settings import TeacherSettings
from dvmsr.training.symmetries import apply_symmetry_to_tensor, undo_symmetry_of_tensor
from dvmsr.weights import Weights, load_weights

_SECONDS_BETWEEN_LINES = 30.0
_BYTES_PER_VALUE = 2


class _Enlarges(Protocol):
    def upscale(self, image: NDArray[Any], /) -> NDArray[Any]: ...


def load_teachers(settings: TeacherSettings, scale: int) -> list[Weights]:
    """Read the teachers' weights.

    Raises:
        ArgumentError: A teacher is of another scale.
        WeightsError: A file is missing, damaged or of another network.
    """
    teachers = [load_weights(path) for path in settings.weights]
    for teacher in teachers:
        if teacher.config.scale != scale:
            raise ArgumentError(
                f"{teacher.source}: a teacher of scale {teacher.config.scale}, the student has {scale}"
            )
    return teachers


def load_networks(settings: TeacherSettings, scale: int) -> list[nn.Module]:
    """Build the teachers that are networks of one's own.

    Raises:
        ArgumentError: One cannot be imported or built, is no network, or does not enlarge (1, 3, 24, 24) to
            ``scale`` times its sides.
    """
    key = "teacher.networks"
    return [build_network(load_plugin(name, key), f"{key}: {name}", scale) for name in settings.networks]


def fingerprint_network(name: str, network: nn.Module) -> str:
    """Return a text that tells this network, named ``module:function``, and its parameters from others."""
    digest = hashlib.sha256(name.encode())
    for key, tensor in network.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def fingerprint_weights(weights: Weights) -> str:
    """Return a text that tells these weights from others."""
    digest = hashlib.sha256(repr(weights.config).encode())
    for name in sorted(weights.parameters):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights.parameters[name]).tobytes())
    return digest.hexdigest()[:16]


class Teacher(nn.Module):
    """Frozen networks and the mean of their outputs, for batches on the training's device.

    Args:
        networks: At least one, all of one scale; they are put into evaluation, their parameters frozen.
        self_ensemble: Whether to average over the flips and rotations of the input too.
    """

    def __init__(self, networks: Iterable[nn.Module], self_ensemble: bool) -> None:
        super().__init__()
        self._networks = nn.ModuleList(networks)
        self._symmetries = range(SYMMETRIES if self_ensemble else 1)
        self.requires_grad_(False)
        self.eval()

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        # It never changes, so the copy of a student that the moving average makes may share it.
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Enlarge (batch, 3, H, W) in [0, 1]; H and W are equal where the input is turned."""
        total = torch.zeros((), device=images.device)
        for network in self._networks:
            for symmetry in self._symmetries:
                turned = apply_symmetry_to_tensor(images, symmetry)
                shape = tuple(turned.shape)
                call = f"the teacher {type(network).__name__}, for a batch of shape {shape},"
                with called(call), threads_for_pytorch():
                    output = network(turned)
                total = total + undo_symmetry_of_tensor(output, symmetry).float()
        return total / (len(self._networks) * len(self._symmetries))


class TeacherOutputs:
    """Makes and keeps the teacher's outputs for whole photographs.

    Args:
        teachers: At least one, all of one scale.
        self_ensemble: See :class:`Teacher`.
        cache: Folder of the outputs, by the content of photographs and weights.
        device: Where to compute; on a CPU the engine does, if it was built.
        report: Gets a line of text now and then.
    """

    def __init__(
        self,
        teachers: Sequence[Weights],
        self_ensemble: bool,
        cache: Path,
        device: torch.device,
        report: Callable[[str], object],
    ) -> None:
        self._teachers = teachers
        self._self_ensemble = self_ensemble
        self._cache = cache
        self._device = device
        self._report = report
        names = "-".join(map(fingerprint_weights, teachers))
        self._name = hashlib.sha256(f"{names} {self_ensemble}".encode()).hexdigest()[:12]

    def add_to(self, photographs: Sequence[Photograph], rank: int = 0, world: int = 1) -> list[Photograph]:
        """Return the photographs with their outputs, made where the cache does not have them.

        Args:
            photographs: All photographs of a run.
            rank: Number of this process; each begins elsewhere and leaves what others have finished.
            world: Number of processes.

        Raises:
            ArgumentError: The disk has too little room, or the cache cannot be written.
        """
        files = [self._file(photograph) for photograph in photographs]
        begin = rank * len(files) // world
        order = [*range(begin, len(files)), *range(begin)]
        missing = [i for i in order if not files[i].exists()]
        self._check_room(sum(_bytes(photographs[i]) for i in missing))
        upscalers = self._upscalers() if missing else []
        start = last_line = time.monotonic()
        for number, i in enumerate(missing, start=1):
            if not files[i].exists():
                save_array(files[i], self._output(upscalers, photographs[i].low))
            now = time.monotonic()
            if now - last_line > _SECONDS_BETWEEN_LINES or number == len(missing):
                last_line = now
                left = timedelta(seconds=round((now - start) / number * (len(missing) - number)))
                self._report(f"teacher's outputs: {number} of {len(missing)}, {left} left")
        return [
            replace(photograph, teacher=file) for photograph, file in zip(photographs, files, strict=True)
        ]

    def _file(self, photograph: Photograph) -> Path:
        digest = hashlib.sha256(repr(photograph.low.shape).encode() + photograph.low.tobytes())
        return self._cache / f"teacher-{self._name}-{digest.hexdigest()[:24]}.npy"

    def _check_room(self, needed: int) -> None:
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._cache).free
        except OSError as error:
            raise ArgumentError(f"{self._cache}: cannot be written: {error.strerror}") from error
        if needed > free:
            raise ArgumentError(
                f"{self._cache}: the teacher's outputs take {needed >> 20} MiB, {free >> 20} MiB are free:"
                ' name another folder as machine.cache, or set teacher.outputs to "online"'
            )

    def _upscalers(self) -> list[_Enlarges]:
        if self._device.type == "cpu" and find_spec("dvmsr._native") is not None:
            return [Upscaler(weights, threads=torch.get_num_threads()) for weights in self._teachers]
        return [
            NetworkUpscaler(DVMSR.from_weights(weights).to(self._device).eval(), weights.config.scale)
            for weights in self._teachers
        ]

    def _output(self, upscalers: Sequence[_Enlarges], low: NDArray[np.uint8]) -> NDArray[np.float16]:
        image = low.astype(np.float32) / np.float32(255)
        total = np.zeros((), np.float32)
        for upscaler in upscalers:
            enlarge = upscaler.upscale
            total = total + (average_symmetries(enlarge, image) if self._self_ensemble else enlarge(image))
        return (total / len(upscalers)).astype(np.float16)


def _bytes(photograph: Photograph) -> int:
    return _BYTES_PER_VALUE * open_pixels(photograph.high).size
