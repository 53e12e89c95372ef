"""The networks that ``inference.py`` measures. Each is built in a process of its own, and imports there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

RLFN_WEIGHTS = Path(__file__).resolve().parents[2] / "shared/weights/rlfn-x4-ntire2024-baseline.safetensors"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    network: str
    """A name in :data:`NETWORKS`."""

    precision: str
    """Type of the network's arithmetic; with the name, the key in :data:`NETWORKS`."""

    threads: int
    """CPU threads that the network may use."""

    height: int
    """Rows of the LR image."""

    width: int
    """Columns of the LR image."""

    def image(self) -> np.ndarray:
        """The image that all networks enlarge: noise, (height, width, 3) float32 in [0, 1]."""
        return np.random.default_rng(0).random((self.height, self.width, 3), dtype=np.float32)


def dvmsr_engine(case: Case) -> Callable[[], object]:
    """Our C++ engine, as ``dvmsr.Upscaler`` runs it with the shipped weights."""
    from dvmsr import Upscaler

    upscaler, image = Upscaler(threads=case.threads), case.image()
    return lambda: upscaler.upscale(image)


def dvmsr_torch(case: Case) -> Callable[[], object]:
    """Our PyTorch network, with the same weights."""
    import torch

    from dvmsr.model import DVMSR
    from dvmsr.weights import load_weights

    weights = load_weights()
    network = DVMSR(weights.config)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.parameters.items()})
    return _torch_runner(network, case, value_range=1.0)


def rlfn_torch(case: Case) -> Callable[[], object]:
    """RLFN in PyTorch. Without its weights, random ones: they change its output, not its speed."""
    from safetensors.torch import load_file

    from rlfn import RLFN

    network = RLFN()
    if RLFN_WEIGHTS.exists():
        network.load_state_dict(load_file(RLFN_WEIGHTS))
    return _torch_runner(network, case, value_range=255.0)


def _torch_runner(network: nn.Module, case: Case, value_range: float) -> Callable[[], object]:
    import torch

    torch.set_num_threads(case.threads)
    # The faster layout for convolutions on CPUs; the input is put into it beforehand.
    network = network.eval().to(memory_format=torch.channels_last)
    image = torch.from_numpy(case.image()).permute(2, 0, 1)[None] * value_range
    image = image.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> object:
        return network(image)

    return run


NETWORKS = {
    ("dvmsr-engine", "float32"): dvmsr_engine,
    ("dvmsr-torch", "float32"): dvmsr_torch,
    ("rlfn-torch", "float32"): rlfn_torch,
}
"""What builds each network in each precision: case -> a function that enlarges the case's image once."""
