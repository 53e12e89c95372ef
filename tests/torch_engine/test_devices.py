from __future__ import annotations

import pytest
import torch

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.torch_engine import TorchEngine, find_device
from dvmsr.torch_engine.devices import computing_in, find_type

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu", "cpu:0", "meta"])
def test_unknown_device(name):
    with pytest.raises(
        ArgumentError,
        match=r'^device must be "cpu", "torch", "cuda", "cuda:N", "auto" or another [^\n]+, got \'',
    ):
        find_device(name)


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ArgumentError, match=rf'^device "{name}" needs a GPU, [^\n]+ use device "cpu"$'):
            find_device(name)


def test_no_such_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for count, known in ((1, "cuda:0"), (3, "cuda:0 to cuda:2")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        with pytest.raises(ArgumentError, match=f'^there is no device "cuda:7" here: PyTorch sees {known}$'):
            find_device("cuda:7")


def test_devices_that_are_not_here():
    with pytest.raises(ArgumentError, match=r'^device "hpu" does not work here: [^\n]+$'):
        find_device("hpu")


def test_first_gpu_has_its_number():
    if not torch.cuda.is_available():
        pytest.skip("this processor lacks CUDA")
    assert find_device("cuda") == torch.device("cuda", torch.cuda.current_device())


@pytest.mark.parametrize("precision", ["fp8", "FP32", "", "float32"])
def test_unknown_precision(make_weights, precision):
    weights = make_weights(NetworkConfig(channels=4, blocks=1))
    with pytest.raises(ArgumentError, match=r"^precision must be fp32, bf16, fp16 or auto, got '"):
        TorchEngine(weights, CPU, precision)


def test_device_without_autocast(monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda _device_type: False)
    assert find_type("fp32", CPU) == torch.float32
    with pytest.raises(ArgumentError, match=r'^on device "cpu" precision must be fp32, got \'bf16\'$'):
        find_type("bf16", CPU)


def test_network_that_does_not_fit(make_weights, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(ArgumentError, match=r'^not enough memory for the network on device "cpu": [^\n]+$'):
        TorchEngine(make_weights(NetworkConfig(channels=4, blocks=1)), CPU)


def test_computing_leaves_the_settings_as_they_were():
    def settings():
        return (
            torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
        )

    before = settings()
    with computing_in(torch.bfloat16, CPU):
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    assert settings() == before


def test_no_tf32():
    """As measured where there is TF32, and by the settings where there is none."""
    with computing_in(torch.float32, CPU):
        if hasattr(torch.backends.cudnn, "conv"):
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        else:
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.is_autocast_enabled("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda")
        x, w = torch.rand(1, 64, 32, 32), torch.rand(64, 64, 3, 3)
        with computing_in(torch.float32, device):
            got = torch.nn.functional.conv2d(x.to(device), w.to(device)).cpu()
        want = torch.nn.functional.conv2d(x.double(), w.double())
        assert (got - want).abs().max() <= 2e-6 * want.abs().max()
