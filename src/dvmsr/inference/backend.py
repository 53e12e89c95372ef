"""The engine for a device."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from dvmsr.engine import Engine
from dvmsr.errors import ArgumentError, MissingExtraError
from dvmsr.weights import Weights


class RowStream(Protocol):
    """One image on its way through an engine; see ``dvmsr.engine.EngineStream``."""

    def push(self, rows: NDArray[Any], *, last: bool = False) -> NDArray[Any]:
        """Give the next rows of the image and take rows of output."""
        ...


class RowEngine(Protocol):
    """A network that is ready to run; see ``dvmsr.engine.Engine``."""

    def stream(self, width: int, dtype: DTypeLike, threads: int) -> RowStream:
        """Start an image."""
        ...


def make_engine(weights: Weights, device: str, precision: str) -> RowEngine:
    """Make a network ready to run. Only for another device than "cpu" is PyTorch imported.

    Args:
        weights: The network.
        device: "cpu" for the native engine; "torch" for PyTorch on the CPU; "cuda", "cuda:N" or another
            device of PyTorch's; "auto" for "cuda" where PyTorch is installed and sees a GPU, else "cpu".
        precision: "fp32", "bf16", "fp16" or "auto": see ``Upscaler``.

    Raises:
        ArgumentError: The device or the precision is unknown or not to be had here.
        MissingExtraError: The device needs PyTorch, and it is not installed.
    """
    if not isinstance(device, str):
        raise ArgumentError(f'device must be a name such as "cpu" or "cuda", got {device!r}')
    if device == "cpu":
        return Engine(weights, precision)
    try:
        from dvmsr.torch_engine import TorchEngine, find_device, sees_gpu
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        if device == "auto":
            return Engine(weights, precision)
        raise MissingExtraError("torch", "gpu", f'Device "{device}"') from error
    if device == "auto":
        if not sees_gpu():
            return Engine(weights, precision)
        device = "cuda"
    return TorchEngine(weights, find_device(device), precision)
