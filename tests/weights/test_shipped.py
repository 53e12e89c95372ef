"""What lies in the package."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from dvmsr import Upscaler
from dvmsr.weights import SHIPPED_SCALES, load_model, shipped_weights

pytestmark = pytest.mark.parametrize(
    ("model", "scale"), [(model, scale) for model, scales in SHIPPED_SCALES.items() for scale in scales]
)


def test_the_paper_s_student_for_its_scale(model, scale):
    weights = load_model(model, scale=scale)
    assert weights.config.scale == scale
    outputs = 3 * scale**2
    assert sum(x.size for x in weights.parameters.values()) == 398_460 + 541 * outputs


def test_float16(model, scale):
    assert {x.dtype for x in load_file(shipped_weights(model, scale)).values()} == {np.dtype(np.float16)}


def test_a_card_is_beside_them(model, scale):
    card = shipped_weights(model, scale).with_suffix(".md").read_text(encoding="utf-8")
    assert "Set5" in card or "Set14" in card


def test_they_keep_a_flat_image_flat(model, scale):
    """A sanity that no damaged or half-trained network has."""
    grey = np.full((24, 24, 3), 120, np.uint8)
    enlarged = Upscaler(threads=1, model=model, scale=scale).upscale(grey).astype(int)
    assert np.abs(enlarged[16:-16, 16:-16] - 120).max() <= 4
