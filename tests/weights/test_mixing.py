from __future__ import annotations

import numpy as np
import pytest

from dvmsr import NetworkConfig
from dvmsr.errors import ArgumentError
from dvmsr.weights import load_model, load_weights, mix_weights, shipped_weights


def assert_same(weights, other):
    assert weights.config == other.config
    assert weights.parameters.keys() == other.parameters.keys()
    for name, array in weights.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[name])


def test_the_ends_are_the_files_to_the_bit():
    clean, photo = load_weights(shipped_weights()), load_weights(shipped_weights("photo"))
    assert_same(load_model(), clean)
    assert_same(load_model("photo", 0), clean)
    assert_same(load_model("photo"), photo)
    name = "reconstruct.weight"
    assert not np.array_equal(clean.parameters[name], photo.parameters[name])


def test_between_them_each_parameter_lies_on_the_straight_way():
    clean, photo = load_model(), load_model("photo")
    mixed = load_model("photo", 0.25)
    for name, array in mixed.parameters.items():
        assert array.dtype == np.float32
        expected = 0.75 * clean.parameters[name] + 0.25 * photo.parameters[name]
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-7)
    assert "0.25" in mixed.source


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), "half", True, None])
def test_other_strengths_are_refused(strength):
    with pytest.raises(ArgumentError, match="strength must be a number from 0 to 1"):
        load_model("photo", strength)


def test_other_models_are_refused_and_the_clean_one_has_no_strength():
    with pytest.raises(ArgumentError, match='"clean" or "photo", got \'noisy\''):
        load_model("noisy")
    with pytest.raises(ArgumentError, match='strength is of the model "photo"'):
        load_model("clean", 0.5)


def test_networks_of_other_shapes_have_no_way_between(make_weights):
    first, second = make_weights(NetworkConfig(4)), make_weights(NetworkConfig(2))
    with pytest.raises(ArgumentError, match="different shapes"):
        mix_weights(first, second, 0.5)
