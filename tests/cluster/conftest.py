"""What the tests of clusters share."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips


@pytest.fixture(scope="session")
def write_noise():
    """Write an image of noise, in the format of its suffix."""

    def write(path, *, height, width, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        pyvips.Image.new_from_array(pixels, interpretation="srgb").write_to_file(str(path))
        return path

    return write
