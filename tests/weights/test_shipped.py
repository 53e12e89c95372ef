"""What lies in the package."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load_file

from dvmsr import Upscaler
from dvmsr.weights import load_weights, shipped_weights


def test_a_student_for_scale_4():
    weights = load_weights()
    assert weights.config.scale == 4
    assert sum(x.size for x in weights.parameters.values()) == 424_428


def test_float16():
    assert {x.dtype for x in load_file(shipped_weights()).values()} == {np.dtype(np.float16)}


def test_a_card_is_beside_them():
    card = shipped_weights().with_suffix(".md").read_text(encoding="utf-8")
    assert "Set5" in card


def test_they_keep_a_flat_image_flat():
    """A sanity that no damaged or half-trained network has."""
    grey = np.full((24, 24, 3), 120, np.uint8)
    enlarged = Upscaler(threads=1).upscale(grey).astype(int)
    assert np.abs(enlarged[16:-16, 16:-16] - 120).max() <= 4
