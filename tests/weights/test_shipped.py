"""What lies in the package."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from dvmsr import Upscaler
from dvmsr.weights import MODELS, load_model, shipped_weights

pytestmark = pytest.mark.parametrize("model", MODELS)


def test_a_student_for_scale_4(model):
    weights = load_model(model)
    assert weights.config.scale == 4
    assert sum(x.size for x in weights.parameters.values()) == 424_428


def test_float16(model):
    assert {x.dtype for x in load_file(shipped_weights(model)).values()} == {np.dtype(np.float16)}


def test_a_card_is_beside_them(model):
    card = shipped_weights(model).with_suffix(".md").read_text(encoding="utf-8")
    assert "Set5" in card or "Set14" in card


def test_they_keep_a_flat_image_flat(model):
    """A sanity that no damaged or half-trained network has."""
    grey = np.full((24, 24, 3), 120, np.uint8)
    enlarged = Upscaler(threads=1, model=model).upscale(grey).astype(int)
    assert np.abs(enlarged[16:-16, 16:-16] - 120).max() <= 4
