"""Reading, checking and writing files of weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dvmsr.atomic import write_atomically
from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError, WeightsError
from dvmsr.weights.arrays import Weights, listed, too_few_tensors
from dvmsr.weights.author_names import author_name, is_author_file, our_name
from dvmsr.weights.pytorch_files import PYTORCH_STARTS, read_pytorch_file
from dvmsr.weights.shapes import deduce_config, mismatches, parameter_shapes

# One entry of metadata, a JSON object: safetensors writes several in an order that changes from time to time.
_METADATA_KEY = "dvmsr"
_FLOATS = ("F16", "F32", "F64")


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
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    config = _config_of(file, metadata, shapes)
    expected = parameter_shapes(config)
    # What does not fit is told in the names of the file.
    by_authors = is_author_file(tensors)
    names = {ours: author_name(ours) if by_authors else ours for ours in expected}
    if wrong := mismatches(shapes, {names[ours]: shape for ours, shape in expected.items()}):
        raise WeightsError(f"{file}: not weights of DVMSR: {listed(wrong)}")
    if broken := [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]:
        raise WeightsError(f"{file}: damaged weights: {broken[0]} holds values that are not finite numbers")
    return Weights(config, {ours: tensors[name] for ours, name in names.items()}, str(file))


def save_weights(
    path: str | os.PathLike[str],
    parameters: Mapping[str, NDArray[Any]],
    config: NetworkConfig,
    *,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a file of weights as float16 safetensors, with the configuration in its metadata.

    The file appears whole or not at all. The same arguments give the same bytes.

    Args:
        path: The file to write; an existing one is replaced.
        parameters: Every parameter by its name in ``dvmsr.model.DVMSR``.
        config: The network's shape.
        notes: More metadata, e.g. how the weights were trained: with the configuration, the members of the
            JSON object that is the file's metadata entry ``dvmsr``.

    Raises:
        ArgumentError: The parameters do not fit the configuration, or one is no finite number in float16.
        OSError: The file cannot be written.
    """
    shapes = {name: array.shape for name, array in parameters.items()}
    if wrong := mismatches(shapes, parameter_shapes(config)):
        raise ArgumentError(f"parameters that do not fit their configuration: {listed(wrong)}")
    metadata = {_METADATA_KEY: json.dumps({"config": asdict(config), **(notes or {})})}
    with np.errstate(over="ignore"):  # checked next
        arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in parameters.items()}
    if broken := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise ArgumentError(f"{broken[0]} holds values that are not finite numbers in float16")
    with write_atomically(Path(path)) as file:
        file.write(save(arrays, metadata))


def _read(file: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise WeightsError(f"{file}: cannot read weights: {error.strerror}") from error
    if start.startswith(PYTORCH_STARTS):
        return read_pytorch_file(file), {}
    try:
        with safe_open(file, framework="np") as opened:
            tensors = {}
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                if (kind := opened.get_slice(name).get_dtype()) not in _FLOATS:
                    raise WeightsError(f"{file}: {name} is of type {kind}, expected {', '.join(_FLOATS)}")
                tensors[name] = opened.get_tensor(name).astype(np.float32)
            return tensors, opened.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(
            f"{file}: neither a safetensors file nor a PyTorch file, or damaged ({error})"
        ) from error


def _config_of(
    file: Path, metadata: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> NetworkConfig:
    if _METADATA_KEY in metadata:
        try:
            config = NetworkConfig(**json.loads(metadata[_METADATA_KEY])["config"])
        except (TypeError, ValueError, KeyError) as error:
            raise WeightsError(f"{file}: its configuration is not one of this version ({error})") from error
        if reason := too_few_tensors(config, len(shapes)):
            raise WeightsError(f"{file}: {reason}")
        return config
    deduced = deduce_config({our_name(name): shape for name, shape in shapes.items()})
    if deduced is None:
        names = ", ".join(sorted(shapes)[:3])
        raise WeightsError(
            f"{file}: weights of another network: expected those of DVMSR, from shallow.weight (or the"
            " authors' conv_first.weight) and blocks of Mamba to a convolution for scale 2, 3 or 4,"
            f" got {names or 'no tensors'}{', ...' if len(shapes) > 3 else ''}"
        )
    return deduced
