"""Writing a network as an ONNX file that was checked against the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dvmsr.atomic import write_atomically
from dvmsr.errors import ArgumentError, ExportError
from dvmsr.export.check import Comparison, compare
from dvmsr.export.network import LEAST_OPSET, build_model
from dvmsr.targets import check_target
from dvmsr.weights import Weights, find_shipped, load_weights

_SHIPPED_LICENCE = "MIT"


@dataclass(frozen=True)
class ExportedModel:
    """An ONNX file that was written."""

    path: Path
    """The file."""

    size: int
    """Its bytes."""

    comparisons: tuple[Comparison, ...]
    """How it compares with the engine, by size of image."""

    @property
    def difference(self) -> float:
        """The largest difference from the engine, of values in [0, 1]."""
        return max(comparison.difference for comparison in self.comparisons)


def export_onnx(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | Weights | None = None,
    *,
    opset: int = LEAST_OPSET,
    half: bool = False,
    licence: str | None = None,
    overwrite: bool = False,
) -> ExportedModel:
    """Write a network as an ONNX file, after comparing it with the engine in ONNX Runtime.

    The graph takes RGB in [0, 1] of any height and width, (1, 3, H, W), as ``image``, and gives ``enlarged``,
    (1, 3, scale * H, scale * W), not clipped; both float32.

    Args:
        path: The file to write; it appears whole or not at all.
        weights: A file of weights or weights in memory; None takes the ones that come with the package.
        opset: Version of ONNX's operator set, from 17.
        half: Whether parameters are stored as float16 and linear layers multiply in it, where the runtime
            can; ONNX Runtime on a CPU multiplies in float32 all the same.
        licence: The weights' licence, for the model's metadata; None: that of the shipped weights, where it
            is them.
        overwrite: Whether an existing file is replaced.

    Returns:
        The file and the comparison.

    Raises:
        ArgumentError: The operator set is unknown.
        ExportError: The file exists or cannot be written, ONNX Runtime cannot load the model, or its output
            differs from the engine's by more than 1e-4.
        WeightsError: The weights are missing, damaged or of another network.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ArgumentError(f"{path}: expected a name that ends with .onnx")
    check_target(path, ExportError, overwrite=overwrite)
    loaded = weights if isinstance(weights, Weights) else load_weights(weights)
    if licence is None and find_shipped(loaded.parameters) is not None:
        licence = _SHIPPED_LICENCE
    metadata = {"license": licence} if licence is not None else {}
    try:
        # Begun before the work, so that a folder that takes no files is known before it.
        with write_atomically(path) as file:
            content = build_model(loaded, opset=opset, half=half, metadata=metadata).SerializeToString()
            comparisons = compare(content, loaded)
            file.write(content)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror}") from error
    return ExportedModel(path, len(content), tuple(comparisons))
