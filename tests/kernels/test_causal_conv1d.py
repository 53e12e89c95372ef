"""The native causal convolution against its definition."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dvmsr.kernels import cpu, reference

pytestmark = [pytest.mark.arithmetic, pytest.mark.usefixtures("one_torch_thread")]

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_inputs(batch: int, length: int, channels: int, taps: int) -> list[torch.Tensor]:
    gen = torch.Generator().manual_seed(0)
    shapes = ((batch, length, channels), (channels, 1, taps), (channels,))
    return [torch.randn(*shape, generator=gen) for shape in shapes]


def run(kernel: Kernel, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output and every gradient."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = kernel(*leaves)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype))
    return [y.detach(), *(x.grad for x in leaves if x.grad is not None)]


@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 65, 200])
@pytest.mark.parametrize(("batch", "channels", "taps"), [(2, 120, 4), (1, 16, 1), (3, 21, 3), (1, 5, 6)])
def test_native_matches_the_definition(batch: int, length: int, channels: int, taps: int) -> None:
    inputs = make_inputs(batch, length, channels, taps)
    want = run(reference.causal_conv1d, [x.double() for x in inputs])
    for got, expected in zip(run(cpu.causal_conv1d, inputs), want, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-4)


def test_part_of_wider_tokens_is_read_in_place() -> None:
    """The network passes one half of in_proj's output."""
    wide, weight, bias = make_inputs(2, 50, 48, 4)
    half = wide[..., 24:]
    assert not half.is_contiguous()
    got = cpu.causal_conv1d(half, weight[:24], bias[:24])
    torch.testing.assert_close(
        got, reference.causal_conv1d(half, weight[:24], bias[:24]), rtol=1e-5, atol=1e-5
    )


def test_is_a_proper_operator() -> None:
    x, weight, bias = make_inputs(2, 20, 24, 4)
    inputs = [x, weight.squeeze(1).t().contiguous(), bias]
    torch.library.opcheck(torch.ops.dvmsr.causal_conv1d.default, [x.requires_grad_() for x in inputs])
