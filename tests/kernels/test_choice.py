"""Which form of the kernels runs."""

from __future__ import annotations

import pytest
import torch

from dvmsr.errors import ArgumentError
from dvmsr.kernels import choice, cpu, reference, selective_scan, using


def test_a_cpu_takes_the_native_form() -> None:
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
