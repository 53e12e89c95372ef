"""What the tests of damage share."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dvmsr import NetworkConfig
from dvmsr.weights import parameter_shapes, save_weights


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Arguments that choose a small network of noise: files are the matter here, not looks."""
    config = NetworkConfig(channels=8, blocks=1, vimms_per_block=1, state_size=4)
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config)
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    save_weights(path, {name: rng.normal(0, 0.05, shape) for name, shape in shapes.items()}, config)
    return ["--weights", str(path)]


@pytest.fixture(scope="session")
def ours():
    """Matches a line that the command writes on standard error: failed, lost, passed over, done so far."""
    return re.compile(
        r"dvmsr: (error|note): .+|passed over .+: .+|finished before: .+|  .+|\d+/\d+ images: .+"
    )
