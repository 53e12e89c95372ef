"""Weights in memory, and whether they are what their configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvmsr.config import NetworkConfig
from dvmsr.errors import WeightsError
from dvmsr.weights.shapes import mismatches, parameter_shapes


@dataclass(frozen=True)
class Weights:
    """A network's parameters and shape."""

    config: NetworkConfig
    """The shape that the parameters fit."""

    parameters: Mapping[str, NDArray[np.float32]]
    """Every parameter by the name that it has in ``dvmsr.model.DVMSR``."""

    source: str
    """Where they came from, for people to read."""


def check_weights(weights: Weights) -> None:
    """Check that parameters are those of their configuration, as all that computes takes for granted.

    Files are checked when they are read; what others put together in memory is where it meets a network.

    Args:
        weights: From anywhere.

    Raises:
        WeightsError: A parameter is missing, unknown, of another shape, no array of floats, or holds values
            that are not finite numbers.
    """
    parameters = weights.parameters
    if reason := too_few_tensors(weights.config, len(parameters)):
        raise WeightsError(f"{weights.source}: {reason}")
    for name, array in parameters.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            came = f"{array.dtype} array" if isinstance(array, np.ndarray) else type(array).__name__
            raise WeightsError(f"{weights.source}: expected {name} to be an array of float32, got {came}")
    if wrong := mismatches(
        {name: array.shape for name, array in parameters.items()}, parameter_shapes(weights.config)
    ):
        raise WeightsError(f"{weights.source}: not weights of their configuration: {listed(wrong)}")
    for name, array in parameters.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"{weights.source}: {name} holds values that are not finite numbers")


def too_few_tensors(config: NetworkConfig, tensors: int) -> str | None:
    """Say that a number of tensors is too small for a configuration, or None where it is not.

    To be asked before the names of all parameters are made: of a billion blocks they fill the memory.
    """
    if config.blocks * config.vimms_per_block <= tensors:
        return None
    return (
        f"its configuration has {config.blocks} blocks of {config.vimms_per_block} ViMMs,"
        f" which its {tensors} tensors cannot be"
    )


def listed(phrases: list[str], most: int = 4) -> str:
    """Join phrases, the first few of many."""
    more = f" and {len(phrases) - most} more" if len(phrases) > most else ""
    return "; ".join(phrases[:most]) + more
