"""What a checkpoint has to hold, checked field by field before anything of it is used."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dvmsr.config import NetworkConfig
from dvmsr.weights import parameter_shapes
from dvmsr.weights.shapes import mismatches

PREFIX = "network."
"""What the names of the network's parameters begin with."""

# Lightning's own go to 7.
_DEEPEST = 32
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# The moving average, and the weights of the last step.
_STATES = ("state_dict", "current_model_state")
_KINDS = {
    "epoch": int,
    "global_step": int,
    "pytorch-lightning_version": str,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "averaging_state": dict,
}


def check_content(content: Any, network: NetworkConfig) -> None:
    """Check what a checkpoint holds.

    Args:
        content: What was read, tensors and plain containers.
        network: The run's network.

    Raises:
        ValueError: A field is missing, of another kind, or its values are none that a run writes; the message
            names it.
    """
    if not isinstance(content, dict) or "global_step" not in content:
        raise ValueError("no checkpoint of this program")
    _check_values("", content, 0)
    for name, kind in _KINDS.items():
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name} is {type(value).__name__}, expected {kind.__name__}")
    for name in ("epoch", "global_step"):
        if not 0 <= content[name] < 2**63:
            raise ValueError(f"{name} is {_shortened(content[name])}, expected a count of steps")
    shapes = {f"{PREFIX}{name}": shape for name, shape in parameter_shapes(network).items()}
    for name in _STATES:
        _check_state(name, content.get(name), shapes)


def _check_state(name: str, state: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    if not isinstance(state, dict):
        raise ValueError(f"{name} is {type(state).__name__}, expected dict")
    for key, tensor in state.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"{name} holds more than tensors by their names")
    if wrong := mismatches({key: tuple(tensor.shape) for key, tensor in state.items()}, shapes):
        raise ValueError(f"{name} is of another network: {wrong[0]}")
    for key, tensor in state.items():
        if tensor.dtype not in _FLOATS:
            raise ValueError(f"{name} holds {tensor.dtype} as {key}, expected floats")


def _check_values(name: str, value: Any, depth: int) -> None:
    """Check that all is plain, and that every tensor has its numbers, all of them finite."""
    if depth > _DEEPEST:
        raise ValueError(f"{name[:40]}... is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_values(f"{name}.{key}" if name else str(key), item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_values(f"{name}.{index}", item, depth + 1)
    elif isinstance(value, Tensor):
        _check_tensor(name, value)
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"{name} is {type(value).__name__}, which no run saves")


def _check_tensor(name: str, tensor: Tensor) -> None:
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not dense or tensor.is_nested or tensor.is_quantized:
        raise ValueError(f"{name} is no dense tensor with its numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"{name} has more numbers than the file holds of it")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds values that are not finite numbers")


def _shortened(number: int) -> str:
    return str(number) if abs(number) < 2**64 else "a number of many digits"
