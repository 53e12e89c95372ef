"""Which form of the kernels runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dvmsr import NetworkConfig
from dvmsr.errors import ArgumentError
from dvmsr.kernels import choice, reference, selective_scan, using
from dvmsr.model import DVMSR


def test_a_cpu_takes_the_native_form() -> None:
    cpu = pytest.importorskip("dvmsr.kernels.cpu")
    assert choice.chosen("cpu") is cpu


def test_a_gpu_takes_triton() -> None:
    from dvmsr.kernels import gpu

    assert choice.chosen("cuda") is gpu


def test_other_devices_take_the_definition_and_say_so_once() -> None:
    choice._warn_of_slow_kernels.cache_clear()
    with pytest.warns(RuntimeWarning, match="no fast kernels for mps"):
        assert choice.chosen("mps") is reference
    assert choice.chosen("mps") is reference  # another warning would be an error here


@pytest.mark.parametrize(
    ("device", "missing", "advice"),
    [("cpu", "_HAS_NATIVE", r"pip install \."), ("cuda", "_HAS_TRITON", "pip install triton")],
)
def test_a_missing_form_is_named(
    device: str, missing: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, missing, False)
    choice._warn_of_slow_kernels.cache_clear()
    with pytest.warns(RuntimeWarning, match=advice):
        assert choice.chosen(device) is reference


def test_using_overrides_the_device_until_the_block_ends() -> None:
    cpu = pytest.importorskip("dvmsr.kernels.cpu")
    with using("reference"):
        assert choice.chosen("cpu") is reference
        with using("cpu"):
            assert choice.chosen("cuda") is cpu
        assert choice.chosen("cuda") is reference
    assert choice.chosen("cpu") is cpu


def test_the_override_reaches_the_scan() -> None:
    """float64 stays float64 in the definition only."""
    inputs = [torch.rand(*shape, dtype=torch.float64) for shape in ((1, 3, 2), (1, 3, 2))]
    A, D, bias = -torch.rand(2, 4, dtype=torch.float64), torch.rand(2).double(), torch.rand(2).double()
    B, C = torch.rand(1, 3, 4).double(), torch.rand(1, 3, 4).double()
    with using("reference"):
        _, last_state = selective_scan(*inputs, A, B, C, D, inputs[0], bias)
    assert last_state.dtype == torch.float64


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ArgumentError, match="reference, cpu, gpu, got 'cuda'"), using("cuda"):
        pass


@pytest.mark.parametrize("kernels", ["cpu", "gpu"], indirect=True)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_network_learns_the_same_with_every_form(kernels: Any, autocast: bool) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(channels=8, blocks=1, vimms_per_block=2, state_size=4, scale=2)
    network = DVMSR(config).to(kernels.device)
    images = torch.rand(1, 3, 3, 5, device=kernels.device)
    name = kernels.kernels.__name__.rpartition(".")[2]

    def gradients(backend: str) -> dict[str, torch.Tensor]:
        network.zero_grad()
        with using(backend), torch.autocast(kernels.device, torch.bfloat16, enabled=autocast):
            network(images).square().sum().backward()
        return {key: x.grad.clone() for key, x in network.named_parameters() if x.grad is not None}

    want, got = gradients("reference"), gradients(name)
    assert want.keys() == got.keys() == dict(network.named_parameters()).keys()
    for key, expected in want.items():
        # bfloat16 keeps 8 bits, and the definition keeps no more for its state. A GPU's convolutions of
        # float32 keep 10.
        largest = expected.abs().max()
        torch.testing.assert_close(
            got[key], expected, rtol=0, atol=float(largest) * (0.1 if autocast else 1e-3)
        )
