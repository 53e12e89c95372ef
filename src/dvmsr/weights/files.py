"""Reading, checking and writing files of weights."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from dvmsr.atomic import write_atomically
from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError, WeightsError
from dvmsr.weights.arrays import Weights, listed, too_few_tensors
from dvmsr.weights.author_names import author_name, is_author_file, our_name
from dvmsr.weights.pytorch_files import PYTORCH_STARTS, read_pytorch_file
from dvmsr.weights.safetensors_files import read_safetensors_file
from dvmsr.weights.shapes import deduce_config, mismatches, parameter_shapes
from dvmsr.weights.stored import StoredTensor
from dvmsr.weights.wrappings import strip_prefix

# One entry of metadata, a JSON object: safetensors writes several in an order that changes from time to time.
_METADATA_KEY = "dvmsr"


def shipped_weights(model: str = "clean", scale: int = 4) -> Path:
    """Return the path of weights that come with the package.

    Args:
        model: "clean" or "photo".
        scale: Enlargement: one of ``dvmsr.weights.SHIPPED_SCALES`` for the model.
    """
    name = f"dvmsr_x{scale}" if model == "clean" else f"dvmsr_x{scale}_{model}"
    return Path(__file__).parent / f"{name}.safetensors"


def load_weights(path: str | os.PathLike[str] | None = None, *, residual: bool | None = None) -> Weights:
    """Read a file of weights and check that it fits the network.

    The file is a safetensors file of ours or of the authors' names, or a PyTorch file of these (which needs
    PyTorch): a bare state dict, or one inside the containers and under the prefixes that training scripts
    save, such as ``params_ema``, ``state_dict``, ``module.``, ``net_g.`` and ``_orig_mod.``.

    Args:
        path: The file. None takes the shipped weights.
        residual: Whether each ViMM adds its input to its output, for a file that does not say so itself: its
            parameters leave no trace of it. Files that ``save_weights`` wrote say so, and the authors' names
            stand for their network, without it, unless this says otherwise.

    Returns:
        The weights as float32 and their configuration.

    Raises:
        WeightsError: The file is missing, damaged or of another network, or does not say of which of two.
        MissingExtraError: A PyTorch file, and PyTorch is not installed.
    """
    file = shipped_weights() if path is None else Path(path)
    found, metadata = _read(file)
    in_file = strip_prefix(found)
    tensors = {name: found[stored] for name, stored in in_file.items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    config = _config_of(file, metadata, shapes)
    expected = parameter_shapes(config)
    # What does not fit is told in the names of the file.
    by_authors = is_author_file(tensors)
    names = {ours: author_name(ours) if by_authors else ours for ours in expected}
    told = {name: in_file.get(name, name) for name in (*tensors, *names.values())}
    if wrong := mismatches(
        {told[name]: shape for name, shape in shapes.items()},
        {told[names[ours]]: shape for ours, shape in expected.items()},
    ):
        raise WeightsError(f"{file}: not weights of DVMSR: {listed(wrong)}")
    config = _with_residual(file, config, metadata, residual, by_authors=by_authors)
    parameters = {}
    for ours, name in names.items():
        tensor = tensors[name]
        if tensor.read is None:
            raise WeightsError(
                f"{file}: {told[name]} is of type {tensor.kind}, expected floats of 16 to 64 bits"
            )
        # A float64 beyond float32 becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            parameters[ours] = tensor.read()
        if not np.isfinite(parameters[ours]).all():
            raise WeightsError(
                f"{file}: damaged weights: {told[name]} holds values that are not finite numbers"
            )
    return Weights(config, parameters, str(file))


def save_weights(
    path: str | os.PathLike[str],
    parameters: Mapping[str, NDArray[Any]],
    config: NetworkConfig,
    *,
    notes: Mapping[str, Any] | None = None,
    dtype: type[np.float16 | np.float32] = np.float16,
) -> None:
    """Write a file of weights as safetensors, with the configuration in its metadata.

    The file appears whole or not at all. The same arguments give the same bytes.

    Args:
        path: The file to write; an existing one is replaced.
        parameters: Every parameter by its name in ``dvmsr.model.DVMSR``.
        config: The network's shape.
        notes: More metadata, e.g. how the weights were trained: with the configuration, the members of the
            JSON object that is the file's metadata entry ``dvmsr``.
        dtype: What the parameters are stored in: float16 or float32.

    Raises:
        ArgumentError: The parameters do not fit the configuration, or one is no finite number in ``dtype``.
        OSError: The file cannot be written.
    """
    shapes = {name: array.shape for name, array in parameters.items()}
    if wrong := mismatches(shapes, parameter_shapes(config)):
        raise ArgumentError(f"parameters that do not fit their configuration: {listed(wrong)}")
    metadata = {_METADATA_KEY: json.dumps({"config": asdict(config), **(notes or {})})}
    with np.errstate(over="ignore"):  # checked next
        arrays = {name: np.ascontiguousarray(array, dtype) for name, array in parameters.items()}
    if broken := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise ArgumentError(f"{broken[0]} holds values that are not finite numbers in {dtype.__name__}")
    with write_atomically(Path(path)) as file:
        file.write(save(arrays, metadata))


def _read(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    try:
        mode = file.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            # A pipe that nobody writes into would be waited for, and none can be read twice.
            raise WeightsError(
                f"{file}: expected a file of weights, got a pipe or device: copy it to a file first"
            )
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise WeightsError(f"{file}: cannot read weights: {error.strerror}") from error
    if start.startswith(PYTORCH_STARTS):
        return read_pytorch_file(file), {}
    return read_safetensors_file(file)


def _config_of(
    file: Path, metadata: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> NetworkConfig:
    if _METADATA_KEY in metadata:
        try:
            config = NetworkConfig(**json.loads(metadata[_METADATA_KEY])["config"])
        except (TypeError, ValueError, KeyError, RecursionError) as error:
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


def _with_residual(
    file: Path, config: NetworkConfig, metadata: Mapping[str, str], residual: bool | None, *, by_authors: bool
) -> NetworkConfig:
    if _METADATA_KEY in metadata:
        if residual not in (None, config.vimm_residual):
            said = "yes" if config.vimm_residual else "no"
            raise WeightsError(
                f"{file}: says itself that vimm_residual is {said}: leave out --residual"
                " (network.vimm_residual)"
            )
        return config
    if residual is None and not by_authors:
        raise WeightsError(
            f"{file}: does not say whether each ViMM adds its input to its output: say so by"
            " --residual yes|no (in training network.vimm_residual, in Python load_weights(..., residual=))"
        )
    return replace(config, vimm_residual=bool(residual))
