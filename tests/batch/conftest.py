"""What the tests of many files share."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig, Upscaler


@pytest.fixture(scope="session")
def upscaler(make_weights):
    """A small network of noise: files are the matter here, not looks."""
    weights = make_weights(NetworkConfig(channels=16, blocks=1, vimms_per_block=1))
    return Upscaler(weights, threads=2)


@pytest.fixture
def write_noise():
    """Write an image of noise whatever its suffix is: PNG where that tells nothing."""

    def write(path, width=6, height=5, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
        known = path.suffix.lower() in (".png", ".jpg", ".tif", ".gif", ".webp")
        path.write_bytes(image.write_to_buffer(path.suffix.lower() if known else ".png"))
        return path

    return write
