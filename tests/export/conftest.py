"""What the tests of exported models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest

from dvmsr import NetworkConfig
from dvmsr.weights import Weights

SMALL = NetworkConfig(scale=2, channels=20, blocks=2, vimms_per_block=1, state_size=6)


@pytest.fixture(scope="session")
def small_weights(make_weights: Callable[..., Weights]) -> Weights:
    """A small network of noise."""
    return make_weights(SMALL)


@pytest.fixture(scope="session")
def run_model() -> Callable[[Any, np.ndarray], np.ndarray]:
    """Enlarge (H, W, 3) with a model or a file in ONNX Runtime."""

    def run(model: Any, image: np.ndarray) -> np.ndarray:
        content = str(model) if not hasattr(model, "SerializeToString") else model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None])})
        return output[0].transpose(1, 2, 0)

    return run
