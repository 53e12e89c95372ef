from __future__ import annotations

import numpy as np
import pytest

from dvmsr import NetworkConfig, Upscaler
from dvmsr.evaluation.networks import NetworkUpscaler
from dvmsr.model import DVMSR


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_definition_enlarges_as_the_engine_does(make_weights, dtype):
    """Decoders give arrays that cannot be written."""
    weights = make_weights(NetworkConfig(scale=2, channels=8, blocks=1))
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    if dtype == np.float32:
        image = image / np.float32(255)
    image.setflags(write=False)
    got = NetworkUpscaler(DVMSR.from_weights(weights).eval(), 2).upscale(image)
    want = Upscaler(weights, threads=1).upscale(image)
    assert (got.dtype, got.shape) == (dtype, (14, 18, 3))
    assert np.abs(got.astype(float) - want).max() <= (1 if dtype == np.uint8 else 1e-5)
