"""The engine for each device and precision."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import dvmsr
from dvmsr import ArgumentError, MissingExtraError, NetworkConfig, Upscaler
from dvmsr.engine import Engine
from dvmsr.inference.backend import make_engine
from dvmsr.torch_engine import TorchEngine
from dvmsr.weights import save_weights

CONFIG = NetworkConfig(scale=2, channels=16, blocks=1, vimms_per_block=1)


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(CONFIG)


@pytest.fixture
def without_pytorch(monkeypatch):
    """As where it is not installed."""
    for name in [name for name in sys.modules if name.startswith("dvmsr.torch_engine")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_cpu_is_the_native_engine(weights):
    assert type(make_engine(weights, "cpu", "fp32")) is Engine


@pytest.mark.usefixtures("one_torch_thread")
def test_torch_is_the_pytorch_network_on_the_cpu(weights):
    """For who changes the network, or has no native engine."""
    assert type(make_engine(weights, "torch", "fp32")) is TorchEngine
    image = noise(20, 30)
    got = Upscaler(weights, device="torch").upscale(image)
    # Floats are rounded in another order.
    assert np.abs(got.astype(int) - Upscaler(weights).upscale(image)).max() <= 1


def test_auto_without_a_gpu(weights, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert type(make_engine(weights, "auto", "fp32")) is Engine


def test_auto_without_pytorch(weights, without_pytorch):  # noqa: ARG001
    assert type(make_engine(weights, "auto", "fp32")) is Engine


def test_cuda_without_pytorch(weights, without_pytorch):  # noqa: ARG001
    with pytest.raises(
        MissingExtraError, match=r'^Device "cuda:1" needs torch: run pip install \'\.\[gpu\]\' in dvmsr'
    ):
        Upscaler(weights, "cuda:1")


@pytest.mark.parametrize("device", ["CPU", "gpu", ""])
def test_unknown_device(weights, device):
    with pytest.raises(
        ArgumentError, match=r'^device must be "cpu", "torch", "cuda", "cuda:N", "auto" or another'
    ):
        Upscaler(weights, device)


@pytest.mark.parametrize("device", [None, 0, torch.device("cpu")])
def test_device_that_is_no_name(weights, device):
    with pytest.raises(ArgumentError, match=r'^device must be a name such as "cpu" or "cuda", got '):
        Upscaler(weights, device)


@pytest.mark.parametrize("precision", ["fp8", "FP32", "", None])
def test_unknown_precision(weights, precision):
    with pytest.raises(ArgumentError, match=r"precision must be "):
        Upscaler(weights, precision=precision)


def test_cpu_imports_no_pytorch(tmp_path, weights):
    save_weights(tmp_path / "noise.safetensors", weights.parameters, CONFIG)
    program = """
import sys
import numpy as np
from dvmsr import Upscaler
Upscaler(sys.argv[1], "cpu", threads=1).upscale(np.zeros((3, 2, 3), np.uint8))
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "noise.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_a_gpu_gives_what_the_cpu_gives(weights):
    """The same calls, of arrays and of streams, in every precision."""
    if not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    image = noise(300, 500)
    want = Upscaler(weights).upscale(image).astype(int)
    assert type(make_engine(weights, "auto", "fp32")) is TorchEngine
    for device in ("cuda", "cuda:0", "auto"):
        got = dvmsr.upscale(image, weights=weights, device=device).astype(int)
        assert np.abs(got - want).max() <= 1
    for precision, most in (("fp32", 1e-6), ("bf16", 0.05), ("fp16", 0.01)):
        upscaler = Upscaler(weights, "cuda", precision=precision)
        got = np.concatenate(list(upscaler.stream(np.split(image, 10), 500))).astype(int)
        assert got.shape == want.shape
        assert np.abs(got - want).mean() <= most * 255


def test_a_profile_is_of_the_native_engine(weights):
    upscaler = Upscaler(weights, threads=1)
    profiles = []
    blocks = list(upscaler.stream(np.split(noise(30, 20), 5), 20, on_profile=profiles.append))
    assert sum(map(len, blocks)) == 30 * upscaler.scale
    assert [profile.pixels for profile in profiles] == [600]
    upscaler._engine = TorchEngine(weights, torch.device("cpu"), "fp32")
    with pytest.raises(ArgumentError, match=r'^expected device "cpu" for a profile'):
        list(upscaler.stream([noise(3, 20)], 20, on_profile=profiles.append))
