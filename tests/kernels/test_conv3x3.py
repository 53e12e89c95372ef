"""The native 3x3 convolution against its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import library

from dvmsr.kernels import conv3x3, reference

pytestmark = pytest.mark.usefixtures("one_torch_thread")

# Largest difference over the largest value.
TOLERANCE = 1e-4

native = pytest.mark.parametrize(
    "kernels", [pytest.param("cpu", marks=pytest.mark.arithmetic)], indirect=True
)


def make_inputs(batch: int, height: int, width: int, inputs: int, outputs: int) -> list[torch.Tensor]:
    gen = torch.Generator().manual_seed(0)
    shapes = ((batch, height, width, inputs), (outputs, inputs, 3, 3), (outputs,))
    return [torch.randn(*shape, generator=gen) for shape in shapes]


def run(kernel: Callable[..., torch.Tensor], inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output and every gradient."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = kernel(*leaves)
    grad_y = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y.backward(grad_y.to(y.dtype))
    return [y.detach(), *(x.grad for x in leaves if x.grad is not None)]


@native
@pytest.mark.parametrize(("inputs", "outputs"), [(60, 60), (3, 60), (60, 48), (7, 21)])
@pytest.mark.parametrize(
    ("batch", "height", "width"), [(2, 9, 12), (1, 1, 1), (3, 2, 5), (1, 35, 3), (1, 3, 200)]
)
def test_matches_the_definition(
    kernels: Any, batch: int, height: int, width: int, inputs: int, outputs: int
) -> None:
    tensors = make_inputs(batch, height, width, inputs, outputs)
    want = run(reference.conv3x3, [x.double() for x in tensors])
    got = run(kernels.kernels.conv3x3, tensors)
    assert len(got) == 4
    for result, expected in zip(got, want, strict=True):
        assert result.shape == expected.shape
        assert (result.double() - expected).abs().max() <= TOLERANCE * expected.abs().max()


@native
def test_any_memory_layout_of_the_weights(kernels: Any) -> None:
    """The network's are channels last, others are not."""
    x, weight, bias = make_inputs(1, 6, 5, 8, 12)
    got = kernels.kernels.conv3x3(x, weight.contiguous(memory_format=torch.channels_last), bias)
    assert torch.equal(got, kernels.kernels.conv3x3(x, weight, bias))


def test_images_that_need_no_gradient_get_none() -> None:
    x, weight, bias = make_inputs(1, 6, 5, 3, 12)
    conv3x3(x, weight.requires_grad_(), bias).sum().backward()
    assert weight.grad is not None
    assert x.grad is None


@pytest.mark.arithmetic
def test_result_does_not_depend_on_threads() -> None:
    tensors = make_inputs(3, 70, 9, 12, 16)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 7):
            torch.set_num_threads(count)
            results.append(run(conv3x3, tensors))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_native_forms_are_proper_operators() -> None:
    pytest.importorskip("dvmsr.kernels.cpu")
    x, weight, bias = make_inputs(1, 4, 5, 6, 8)
    weight = weight.permute(0, 2, 3, 1).contiguous()
    y = make_inputs(1, 4, 5, 8, 8)[0]
    library.opcheck(torch.ops.dvmsr.conv3x3.default, [p.clone().requires_grad_() for p in (x, weight, bias)])
    library.opcheck(torch.ops.dvmsr.conv3x3_backward_input.default, (weight, y))
    library.opcheck(torch.ops.dvmsr.conv3x3_backward_weight.default, (x, y))


@native
# torch.export does so itself.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_exported_programs_can_be_trained(kernels: Any) -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return cast("torch.Tensor", kernels.kernels.conv3x3(x, weight, bias))

    inputs = make_inputs(1, 4, 5, 6, 8)
    exported = torch.export.export(Layer(), tuple(inputs)).module()
    for got, want in zip(run(exported, inputs), run(kernels.kernels.conv3x3, inputs), strict=True):
        assert torch.equal(got, want)
