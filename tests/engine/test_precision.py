"""bfloat16 operands: rounded where the engine says, as close as rounding allows, and harmless to PSNR."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dvmsr import ArgumentError, NetworkConfig, Upscaler
from dvmsr.engine import Engine
from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.datasets import open_set
from dvmsr.kernels import using
from dvmsr.model import DVMSR
from dvmsr.weights import Weights, load_weights, shipped_weights

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def enlarge(weights: Weights, image: np.ndarray, precision: str) -> np.ndarray:
    return Engine(weights, precision).stream(image.shape[1], image.dtype, 1).push(image, last=True)


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def by_definition(weights: Weights, image: np.ndarray, *, bfloat16: bool) -> np.ndarray:
    """The PyTorch network in float64, with the operands of the wide layers rounded to bfloat16 or not."""
    network = DVMSR.from_weights(weights).double()
    wide = [
        layer.weight
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and name != "shallow" and "dt_proj" not in name
    ]

    def rounding(function):
        def product(x, weight, *others, **named):
            if bfloat16 and any(weight is parameter for parameter in wide):
                x, weight = rounded(x), rounded(weight)
            return function(x, weight, *others, **named)

        return product

    products = {name: rounding(getattr(F, name)) for name in ("linear", "conv2d")}
    with patch.multiple("torch.nn.functional", **products), using("reference"), torch.no_grad():
        return network(torch.from_numpy(image).double().permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


@pytest.mark.arithmetic
@pytest.mark.parametrize("seed", range(6))
def test_operands_are_rounded_where_the_definition_rounds_them(make_weights, seed):
    """Of the error that rounding makes, the definition with the same rounding explains most.

    Not all: a float32 sum that lies at the edge between two bfloat16 numbers may go to the other one. That
    is a few values in a thousand, but what follows multiplies it; so this network is short.
    """
    rng = np.random.default_rng(seed)
    # An odd number of channels is the last one without a partner.
    channels = (60, 16, 7, 33, 21, 48)[seed]
    weights = make_weights(NetworkConfig(channels=channels, blocks=1, vimms_per_block=1), seed)
    image = rng.random((9, 13, 3), np.float32)
    exact = by_definition(weights, image, bfloat16=False)
    want = by_definition(weights, image, bfloat16=True)
    got = enlarge(weights, image, "bf16")
    assert rms(want - exact) > 1e-3 * rms(exact)  # what the test stands on: the rounding shows
    assert rms(got - want) < 0.5 * rms(want - exact)


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        NetworkConfig(scale=2, vimm_residual=True),
        NetworkConfig(scale=3, channels=25, state_size=5, conv_width=3, blocks=2, vimms_per_block=3),
        NetworkConfig(channels=192, blocks=1, vimms_per_block=1),
    ],
    ids=["student", "residual", "odd", "wide"],
)
def test_errors_are_those_of_rounding(make_weights, config):
    """Through a whole network only the size of the error can be foretold: 1.5 is left to chance."""
    weights = make_weights(config)
    image = np.random.default_rng(0).random((12, 13, 3), np.float32)
    exact = by_definition(weights, image, bfloat16=False)
    want = by_definition(weights, image, bfloat16=True)
    assert rms(enlarge(weights, image, "bf16") - exact) < 1.5 * rms(want - exact)


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize("name", ["ntire2024", "paper", "shipped"])
def test_psnr_changes_by_less_than_a_hundredth(shared, dataset, name):
    images = open_set(shared(f"benchmarks/{dataset}/x4"))
    file = shipped_weights() if name == "shipped" else shared(f"weights/dvmsr-x4-author-{name}.safetensors")
    upscaler = Upscaler(load_weights(file))
    full = score_set(upscaler, images)
    with patch.object(upscaler, "_engine", Engine(load_weights(file), "bf16")):
        short = score_set(upscaler, images)
    assert short.psnr_y != full.psnr_y
    assert short.psnr_y == pytest.approx(full.psnr_y, abs=0.01)


@pytest.mark.parametrize("value", ["fp16", "", None, "BF16"])
def test_other_precisions_are_refused(make_weights, value):
    weights = make_weights(NetworkConfig(channels=4, blocks=1, vimms_per_block=1))
    with pytest.raises(ArgumentError, match=r'^on device "cpu" precision must be fp32, bf16 or auto, got '):
        Engine(weights, value)


@pytest.mark.parametrize(("multiplied", "faster"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_what_is_faster(make_weights, monkeypatch, multiplied, faster):
    monkeypatch.setattr("dvmsr._native.multiplies_bfloat16", lambda: multiplied)
    weights = make_weights(NetworkConfig(channels=4, blocks=1, vimms_per_block=1))
    assert Engine(weights, "auto").precision == faster
