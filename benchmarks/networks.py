"""The networks that ``inference.py`` measures. Each is built in a process of its own, and imports there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

RLFN_WEIGHTS = Path(__file__).resolve().parents[2] / "shared/weights/rlfn-x4-ntire2024-baseline.safetensors"


@dataclass(frozen=True)
class Variant:
    """A network and a way to run it."""

    network: str
    """A name in :data:`NETWORKS`."""

    form: str
    """How it is run. The engine: "image", from array to array, or "stream", rows in and rows out, as files
    are enlarged. PyTorch: "contiguous", "channels_last", or "compiled", which is channels_last and
    ``torch.compile``."""

    precision: str
    """"fp32"; or "bf16", which for PyTorch is autocast."""


@dataclass(frozen=True)
class Case(Variant):
    """A variant at work on one image."""

    threads: int
    """CPU threads that it may use."""

    height: int
    """Rows of the LR image."""

    width: int
    """Columns of the LR image."""

    def image(self) -> np.ndarray:
        """The image that all networks enlarge: noise, (height, width, 3) float32 in [0, 1]."""
        return np.random.default_rng(0).random((self.height, self.width, 3), dtype=np.float32)

    def blocks(self) -> Iterator[np.ndarray]:
        """As many rows, as many at a time as of a file and never all in memory: the first ones repeated."""
        from dvmsr.inference.upscaler import rows_at_once

        rows = rows_at_once(self.width)
        block = np.random.default_rng(0).random((rows, self.width, 3), dtype=np.float32)
        for top in range(0, self.height, rows):
            yield block[: self.height - top]


def dvmsr_engine(case: Case) -> Callable[[], object]:
    """Our C++ engine, as ``dvmsr.Upscaler`` runs it with the shipped weights."""
    from dvmsr import Upscaler

    upscaler = Upscaler(threads=case.threads, precision=case.precision)
    if case.form == "image":
        image = case.image()
        return lambda: upscaler.upscale(image)

    def stream() -> None:
        for _ in upscaler.stream(case.blocks(), case.width):
            pass

    return stream


def dvmsr_torch(case: Case) -> Callable[[], object]:
    """Our PyTorch network, with the same weights."""
    from dvmsr.model import DVMSR
    from dvmsr.weights import load_weights

    return torch_runner(DVMSR.from_weights(load_weights()), case, value_range=1.0)


def rlfn_torch(case: Case) -> Callable[[], object]:
    """RLFN in PyTorch. Without its weights, random ones: they change its output, not its speed."""
    from safetensors.torch import load_file

    from dvmsr.evaluation.rlfn import RLFN

    network = RLFN()
    if RLFN_WEIGHTS.exists():
        network.load_state_dict(load_file(RLFN_WEIGHTS))
    return torch_runner(network, case, value_range=255.0)


def torch_runner(network: nn.Module, case: Case, value_range: float) -> Callable[[], object]:
    """A network of PyTorch's in the case's form. Its image goes from 0 to ``value_range``."""
    import torch

    torch.set_num_threads(case.threads)
    # The input is put into its layout beforehand.
    layout = torch.contiguous_format if case.form == "contiguous" else torch.channels_last
    network = network.eval().to(memory_format=layout)
    image = torch.from_numpy(case.image()).permute(2, 0, 1)[None] * value_range
    image = image.contiguous(memory_format=layout)
    if case.form == "compiled":
        # PyTorch's compiler imports what PyTorch itself calls deprecated.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        # For the one shape: it knows all sizes then.
        network = torch.compile(network, dynamic=False)

    @torch.inference_mode()
    def run() -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bf16"):
            return network(image)

    if case.form == "compiled":
        # Here, so that it is never timed.
        run()
    return run


NETWORKS = {"dvmsr-engine": dvmsr_engine, "dvmsr-torch": dvmsr_torch, "rlfn-torch": rlfn_torch}
"""What builds each network: case -> a function that enlarges the case's image once."""

VARIANTS = (
    *(
        Variant("dvmsr-engine", form, precision)
        for form in ("stream", "image")
        for precision in ("fp32", "bf16")
    ),
    Variant("dvmsr-torch", "channels_last", "fp32"),
    *(
        Variant("rlfn-torch", form, precision)
        for form in ("contiguous", "channels_last", "compiled")
        for precision in ("fp32", "bf16")
    ),
)
"""All that is measured."""

KIB_PER_PIXEL = {"dvmsr-engine": 0.25, "dvmsr-torch": 6.0, "rlfn-torch": 2.5}
"""About what each needs for a pixel of the LR image, to know beforehand what does not fit into memory."""


def build(case: Case) -> Callable[[], object]:
    """Return a function that enlarges the case's image once."""
    return NETWORKS[case.network](case)
