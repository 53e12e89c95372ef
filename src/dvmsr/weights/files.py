"""Reading, checking and writing files of weights."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError, MissingExtraError, WeightsError
from dvmsr.weights.author_names import is_author_file, our_name
from dvmsr.weights.shapes import deduce_config, mismatches, parameter_shapes

_CONFIG_KEY = "dvmsr_config"
# PyTorch's files are zip archives, or pickles in its old form.
_PYTORCH_STARTS = (b"PK\x03\x04", b"\x80\x02")


@dataclass(frozen=True)
class Weights:
    """A network's parameters and shape."""

    config: NetworkConfig
    """The shape that the parameters fit."""

    parameters: Mapping[str, NDArray[np.float32]]
    """Every parameter by the name that it has in ``dvmsr.model.DVMSR``."""

    source: str
    """Where they came from, for people to read."""


def shipped_weights() -> Path:
    """Return the path of the default weights that come with the package."""
    return Path(__file__).parent / "dvmsr_x4.safetensors"


def load_weights(path: str | os.PathLike[str] | None = None) -> Weights:
    """Read a file of weights and check that it fits the network.

    Args:
        path: A safetensors file of ours or of the authors' names, or a PyTorch file of the authors'
            release (a bare state dict, or one under ``params_ema`` or ``params``; it needs PyTorch).
            None takes the shipped weights.

    Returns:
        The weights as float32 and their configuration.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
        MissingExtraError: A PyTorch file, and PyTorch is not installed.
    """
    file = shipped_weights() if path is None else Path(path)
    tensors, metadata = _read(file)
    if is_author_file(set(tensors)):
        tensors = {our_name(name): tensor for name, tensor in tensors.items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    config = _config_of(file, metadata, shapes)
    if wrong := mismatches(shapes, parameter_shapes(config)):
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise WeightsError(f"{file}: not weights of DVMSR: {'; '.join(wrong[:4])}{more}")
    if broken := [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]:
        raise WeightsError(f"{file}: damaged weights: {broken[0]} holds values that are not finite numbers")
    return Weights(config, tensors, str(file))


def save_weights(
    path: str | os.PathLike[str],
    parameters: Mapping[str, NDArray[Any]],
    config: NetworkConfig,
    *,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a file of weights as float16 safetensors, with the configuration in its metadata.

    The file appears whole or not at all.

    Args:
        path: The file to write; an existing one is replaced.
        parameters: Every parameter by its name in ``dvmsr.model.DVMSR``.
        config: The network's shape.
        notes: More metadata, e.g. how the weights were trained.

    Raises:
        ArgumentError: The parameters do not fit the configuration.
        OSError: The file cannot be written.
    """
    shapes = {name: array.shape for name, array in parameters.items()}
    if wrong := mismatches(shapes, parameter_shapes(config)):
        raise ArgumentError(f"parameters that do not fit their configuration: {'; '.join(wrong[:4])}")
    metadata = {_CONFIG_KEY: json.dumps(asdict(config)), **(notes or {})}
    arrays = {name: np.ascontiguousarray(array, dtype=np.float16) for name, array in parameters.items()}
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(save(arrays, metadata))
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _read(file: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise WeightsError(f"{file}: cannot read weights: {error.strerror}") from error
    if start.startswith(_PYTORCH_STARTS):
        return _read_pytorch(file), {}
    try:
        with safe_open(file, framework="np") as opened:
            tensors = {name: opened.get_tensor(name).astype(np.float32) for name in opened.keys()}  # noqa: SIM118
            return tensors, opened.metadata() or {}
    except (SafetensorError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{file}: neither a safetensors file nor a PyTorch file, or damaged ({error})"
        ) from error


def _read_pytorch(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train", f"{file}: reading a PyTorch file") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{file}: damaged, or more than plain weights ({reason})") from error
    for key in ("params_ema", "params"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(x, torch.Tensor) for x in content.values()):
        raise WeightsError(f"{file}: expected a state dict of tensors, or one under params_ema or params")
    return {name: tensor.float().numpy() for name, tensor in content.items()}


def _config_of(
    file: Path, metadata: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> NetworkConfig:
    if _CONFIG_KEY in metadata:
        try:
            return NetworkConfig(**json.loads(metadata[_CONFIG_KEY]))
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{file}: its configuration is not one of this version ({error})") from error
    config = deduce_config(shapes)
    if config is None:
        names = ", ".join(sorted(shapes)[:3])
        raise WeightsError(
            f"{file}: not weights of DVMSR: expected shallow.weight or conv_first.weight and the"
            f" layers after it, got {names or 'no tensors'}{', ...' if len(shapes) > 3 else ''}"
        )
    return config
