"""Every form of the causal convolution against its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import library

from dvmsr.kernels import reference

pytestmark = pytest.mark.usefixtures("one_torch_thread")

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_inputs(batch: int, length: int, channels: int, taps: int) -> list[torch.Tensor]:
    gen = torch.Generator().manual_seed(0)
    shapes = ((batch, length, channels), (channels, 1, taps), (channels,))
    return [torch.randn(*shape, generator=gen) for shape in shapes]


def run(kernel: Kernel, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output and every gradient."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = kernel(*leaves)
    grad_y = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y.backward(grad_y.to(y.device, y.dtype))
    return [y.detach(), *(x.grad for x in leaves if x.grad is not None)]


# The native form on every instruction set.
cpu_form = pytest.param("cpu", marks=pytest.mark.arithmetic)
both = pytest.mark.parametrize("kernels", [cpu_form, "gpu"], indirect=True)


def assert_matches_the_definition(kernels: Any, inputs: list[torch.Tensor], tolerance: float) -> None:
    want = run(reference.causal_conv1d, [x.double() for x in inputs])
    got = run(kernels.kernels.causal_conv1d, [x.to(kernels.device) for x in inputs])
    assert got[0].dtype == inputs[0].dtype
    for result, expected in zip(got, want, strict=True):
        torch.testing.assert_close(result.cpu().double(), expected, rtol=tolerance, atol=tolerance)


@both
@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 65, 200])
@pytest.mark.parametrize(("batch", "channels", "taps"), [(2, 120, 4), (1, 16, 1), (3, 21, 3), (1, 5, 6)])
def test_matches_the_definition(kernels: Any, length: int, batch: int, channels: int, taps: int) -> None:
    assert_matches_the_definition(kernels, make_inputs(batch, length, channels, taps), 1e-4)


@both
def test_low_precision_is_computed_in_float32(kernels: Any) -> None:
    x, weight, bias = make_inputs(2, 70, 24, 4)
    assert_matches_the_definition(kernels, [x.bfloat16(), weight, bias], 2e-2)


@both
def test_part_of_wider_tokens_is_read_in_place(kernels: Any) -> None:
    """The network passes one half of in_proj's output."""
    wide, weight, bias = (x.to(kernels.device) for x in make_inputs(2, 50, 48, 4))
    half = wide[..., 24:]
    assert not half.is_contiguous()
    got = kernels.kernels.causal_conv1d(half, weight[:24], bias[:24])
    torch.testing.assert_close(
        got, reference.causal_conv1d(half, weight[:24], bias[:24]), rtol=1e-5, atol=1e-5
    )


def test_native_form_is_a_proper_operator() -> None:
    pytest.importorskip("dvmsr.kernels.cpu")
    x, weight, bias = make_inputs(2, 20, 24, 4)
    inputs = [x, weight.squeeze(1).t().contiguous(), bias]
    library.opcheck(torch.ops.dvmsr.causal_conv1d.default, [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("kernels", ["gpu"], indirect=True)
def test_triton_form_is_a_proper_operator(kernels: Any) -> None:
    inputs = [x.to(kernels.device).requires_grad_() for x in make_inputs(1, 5, 3, 4)]
    library.opcheck(torch.ops.dvmsr.causal_conv1d_gpu.default, inputs)
