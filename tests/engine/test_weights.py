"""Weights that were put together in memory, where they meet a network: one line, and never native code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dvmsr import ArgumentError, NetworkConfig, WeightsError
from dvmsr.config import MAX_VIMMS, MAX_WIDTH
from dvmsr.engine import Engine
from dvmsr.model import DVMSR
from dvmsr.weights import Weights

CONFIG = NetworkConfig(scale=2, channels=12, blocks=2, vimms_per_block=1, state_size=3)
MATRIX = "blocks.0.vimms.0.mamba.in_proj.weight"

pytestmark = pytest.mark.parametrize("make", [Engine, DVMSR.from_weights], ids=["engine", "PyTorch network"])


@pytest.fixture
def weights(make_weights):
    made = make_weights(CONFIG)
    return Weights(made.config, dict(made.parameters), "mine")


def error_of(make, weights) -> str:
    with pytest.raises(WeightsError) as raised:
        make(weights)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith("mine: ")
    return message.removeprefix("mine: ")


@pytest.mark.parametrize(
    "other",
    [
        {"channels": 192},
        {"channels": 11},
        {"channels": 100_000},
        {"conv_width": MAX_WIDTH},
        {"state_size": 4},
        {"expansion": 3},
        {"scale": 4},
    ],
    ids=str,
)
def test_of_another_configuration(make, weights, other):
    message = error_of(make, replace(weights, config=replace(CONFIG, **other)))
    assert message.startswith("not weights of their configuration: ")
    assert "expected " in message


@pytest.mark.parametrize(
    ("blocks", "told"), [(3, "blocks.2.vimms.0.norm.weight is missing"), (1, "unexpected")]
)
def test_of_more_or_fewer_blocks(make, weights, blocks, told):
    assert told in error_of(make, replace(weights, config=replace(CONFIG, blocks=blocks)))


def test_blocks_that_so_few_tensors_cannot_be(make, weights):
    message = error_of(make, replace(weights, config=replace(CONFIG, blocks=MAX_VIMMS)))
    assert message == f"its configuration has {MAX_VIMMS} blocks of 1 ViMMs, which its 36 tensors cannot be"


def test_arrays_of_one_number(make, weights):
    for name in weights.parameters:
        weights.parameters[name] = np.ones(1, np.float32)
    assert error_of(make, weights).startswith(
        "not weights of their configuration: shallow.weight is 1, expected"
    )


def test_matrix_on_its_side(make, weights):
    weights.parameters[MATRIX] = weights.parameters[MATRIX].T
    assert error_of(make, weights) == f"not weights of their configuration: {MATRIX} is 12x48, expected 48x12"


def test_parameter_that_the_network_does_not_know(make, weights):
    """Left out, it would be another network than the one that was trained, and worse, without a word."""
    weights.parameters["blocks.0.vimms.0.attention.weight"] = np.ones(3, np.float32)
    told = "blocks.0.vimms.0.attention.weight is unexpected"
    assert error_of(make, weights) == f"not weights of their configuration: {told}"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_value_that_is_not_finite(make, weights, value):
    weights.parameters[MATRIX] = np.full((48, 12), value, np.float32)
    assert error_of(make, weights) == f"{MATRIX} holds values that are not finite numbers"


@pytest.mark.parametrize("kind", [np.int64, np.complex64, bool, object])
def test_arrays_of_another_type(make, weights, kind):
    weights.parameters[MATRIX] = np.ones((48, 12), kind)
    assert (
        error_of(make, weights) == f"expected {MATRIX} to be an array of float32, got {np.dtype(kind)} array"
    )


def test_no_array(make, weights):
    weights.parameters[MATRIX] = [[1.0] * 12] * 48
    assert error_of(make, weights) == f"expected {MATRIX} to be an array of float32, got list"


@pytest.mark.parametrize("name", ["channels", "blocks", "vimms_per_block", "expansion", "conv_width"])
@pytest.mark.parametrize(
    "value", [MAX_WIDTH + 1, 10**12, 10**6000], ids=["next", "12 digits", "6,000 digits"]
)
def test_configuration_beyond_all_measure(make, name, value):  # noqa: ARG001 - before any network
    with pytest.raises(
        ArgumentError, match=rf"^{name} must be a whole number up to {MAX_WIDTH}, got a larger one$"
    ):
        replace(CONFIG, **{name: value})


def test_more_vimms_than_can_be_named(make):  # noqa: ARG001 - before any network
    with pytest.raises(
        ArgumentError, match=rf"^blocks must hold up to {MAX_VIMMS} ViMMs together, got 5001 of 2$"
    ):
        NetworkConfig(blocks=5001)
