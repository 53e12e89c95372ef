"""Comparing an exported model with the engine, in ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from dvmsr.errors import ExportError
from dvmsr.export.network import INPUT
from dvmsr.inference import Upscaler
from dvmsr.weights import Weights

SIZES = ((5, 7), (32, 32), (48, 80))
"""Heights and widths that are compared: less than a chunk of tokens, whole chunks, and many."""

TOLERANCE = 1e-4
"""The largest difference that is let pass, of values in [0, 1]."""

_PIXELS_PER_MEGAPIXEL = 1e6


@dataclass(frozen=True)
class Comparison:
    """An image in ONNX Runtime and in the engine."""

    height: int
    """Its rows."""

    width: int
    """Its columns."""

    difference: float
    """The largest difference of the outputs, of values in [0, 1]."""

    seconds: float
    """Wall time of ONNX Runtime."""

    engine_seconds: float
    """Wall time of the engine."""

    @property
    def seconds_per_megapixel(self) -> float:
        """Wall time of ONNX Runtime for a million pixels of input."""
        return self.seconds / (self.height * self.width) * _PIXELS_PER_MEGAPIXEL


def compare(model: bytes, weights: Weights, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Comparison]:
    """Enlarge images of noise with a model and with the engine, each with one thread.

    Args:
        model: The content of an ONNX file.
        weights: The network.
        sizes: Heights and widths of the images.

    Raises:
        ExportError: ONNX Runtime cannot load the model, or a difference is above ``TOLERANCE``.
    """
    upscaler = Upscaler(weights, threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes share no other base
        reason = str(error).partition("\n")[0]
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load the model: {reason}"
        ) from error
    rng = np.random.default_rng(0)
    comparisons = []
    for height, width in sizes:
        image = rng.random((height, width, 3), np.float32)
        feed = {INPUT: np.ascontiguousarray(image.transpose(2, 0, 1)[None])}
        start = time.perf_counter()
        (output,) = session.run(None, feed)
        middle = time.perf_counter()
        expected = upscaler.upscale(image)
        end = time.perf_counter()
        difference = float(np.abs(np.asarray(output)[0].transpose(1, 2, 0) - expected).max())
        # Not "above": a difference that is no number is one, too.
        if not difference <= TOLERANCE:
            raise ExportError(
                f"the model differs from the engine by {difference:.2g} at {height}x{width} pixels,"
                f" expected up to {TOLERANCE:g}; nothing was written"
            )
        comparisons.append(Comparison(height, width, difference, middle - start, end - middle))
    return comparisons
