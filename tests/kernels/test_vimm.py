"""Every form of the ViMM against its definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import library

from dvmsr.kernels import VimmParameters, VimmState, reference, vimm

pytestmark = pytest.mark.usefixtures("one_torch_thread")

# Largest difference over the largest value.
TOLERANCE = 1e-4

# The native form on every instruction set.
cpu_form = pytest.param("cpu", marks=pytest.mark.arithmetic)
both = pytest.mark.parametrize("kernels", [cpu_form, "gpu"], indirect=True)
native = pytest.mark.parametrize("kernels", [cpu_form], indirect=True)


def make_parameters(channels: int, inner: int, states: int, taps: int, rank: int) -> VimmParameters:
    """Parameters of the size that training has them, decays and steps from slow to fast."""
    gen = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=gen)

    return VimmParameters(
        norm_weight=1 + 0.1 * normal(channels),
        norm_bias=0.1 * normal(channels),
        in_proj=normal(2 * inner, channels) / channels**0.5,
        conv_weight=normal(inner, 1, taps) / taps**0.5,
        conv_bias=0.1 * normal(inner),
        x_proj=normal(rank + 2 * states, inner) / inner**0.5,
        dt_weight=normal(inner, rank) / rank**0.5,
        dt_bias=2 * normal(inner) - 2,
        A_log=2 * normal(inner, states),
        D=normal(inner),
        out_proj=normal(channels, inner) / inner**0.5,
    )


def make_tokens(batch: int, length: int, channels: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, length, channels, generator=torch.Generator().manual_seed(seed))


def run(
    kernel: Callable[..., Any], x: torch.Tensor, parameters: VimmParameters, *, residual: bool
) -> dict[str, torch.Tensor]:
    """Output and every gradient."""
    leaves = VimmParameters(*(p.clone().requires_grad_() for p in parameters))
    x = x.clone().requires_grad_()
    y, state = kernel(x, leaves, residual=residual)
    assert state is None
    y.backward(make_tokens(*y.shape, seed=2).to(y.device, y.dtype))
    results = {"y": y.detach(), "x": x.grad, **{name: p.grad for name, p in leaves._asdict().items()}}
    return {name: value.cpu() for name, value in results.items()}


def assert_same(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor], tolerance: float) -> None:
    assert got.keys() == want.keys()
    for name, expected in want.items():
        assert torch.isfinite(got[name]).all(), name
        error = (got[name].double() - expected.double()).abs().max()
        assert error <= tolerance * expected.double().abs().max(), f"{name}: {error:.2e}"


def assert_matches_the_definition(
    kernels: Any, x: torch.Tensor, parameters: VimmParameters, *, residual: bool = False
) -> None:
    want = run(
        reference.vimm, x.double(), VimmParameters(*(p.double() for p in parameters)), residual=residual
    )
    device = kernels.device
    moved = VimmParameters(*(p.to(device) for p in parameters))
    got = run(kernels.kernels.vimm, x.to(device), moved, residual=residual)
    assert_same(got, want, TOLERANCE)


@native
@pytest.mark.parametrize("length", [2, 15, 16, 17, 47, 48, 49, 97, 500])
def test_any_length_matches_the_definition(kernels: Any, length: int) -> None:
    """Lengths around the chunks and parts."""
    x = make_tokens(2, length, 60)
    assert_matches_the_definition(kernels, x, make_parameters(60, 120, 16, 4, 4))


@native
@pytest.mark.parametrize(
    ("batch", "channels", "inner", "states", "taps", "rank"),
    [
        (1, 60, 120, 16, 4, 4),
        (3, 21, 42, 5, 3, 2),
        (1, 3, 3, 1, 1, 1),
        (2, 8, 24, 20, 6, 1),
        (1, 37, 37, 8, 60, 3),
        (2, 192, 384, 16, 4, 12),
    ],
)
def test_any_shape_matches_the_definition(
    kernels: Any, batch: int, channels: int, inner: int, states: int, taps: int, rank: int
) -> None:
    x = make_tokens(batch, 53, channels)
    parameters = make_parameters(channels, inner, states, taps, rank)
    assert_matches_the_definition(kernels, x, parameters, residual=True)


@both
def test_every_form_matches_the_definition(kernels: Any) -> None:
    """The GPU's form in little, as its interpreter is slow."""
    assert_matches_the_definition(kernels, make_tokens(2, 19, 6), make_parameters(6, 12, 4, 4, 2))


@native
def test_one_token_matches_the_definition(kernels: Any) -> None:
    """It decays nothing, so that A's gradient is 0."""
    x, parameters = make_tokens(2, 1, 20), make_parameters(20, 40, 16, 4, 2)
    assert_matches_the_definition(kernels, x, parameters)
    assert (run(kernels.kernels.vimm, x, parameters, residual=False)["A_log"] == 0).all()


@native
def test_extreme_decay_and_tiny_steps_stay_exact_and_finite(kernels: Any) -> None:
    """A as the released weights have it, down to -7,000, with steps near 1e-4 and beyond both ends."""
    parameters = make_parameters(24, 24, 16, 4, 2)
    A_log = torch.linspace(-4, 8.9, 24 * 16).reshape(16, 24).T.contiguous()
    dt_bias = torch.linspace(-12, 4, 24)
    dt_bias[:8] = -9.2  # softplus(-9.2) is 1.01e-4
    parameters = parameters._replace(A_log=A_log, dt_bias=dt_bias, dt_weight=0.2 * parameters.dt_weight)
    assert_matches_the_definition(kernels, make_tokens(1, 100, 24), parameters)


@native
def test_huge_features_do_not_overflow(kernels: Any) -> None:
    parameters = make_parameters(16, 16, 16, 4, 1)
    parameters = parameters._replace(in_proj=100 * parameters.in_proj, dt_weight=60 * parameters.dt_weight)
    assert_matches_the_definition(kernels, 1e4 * make_tokens(1, 40, 16), parameters)


@native
def test_a_residual_is_added(kernels: Any) -> None:
    x, parameters = make_tokens(1, 30, 12), make_parameters(12, 24, 4, 4, 1)
    plain, residual = (kernels.kernels.vimm(x, parameters, residual=r)[0] for r in (False, True))
    torch.testing.assert_close(residual, x + plain)


@both
def test_a_sequence_in_parts_is_the_whole(kernels: Any) -> None:
    """The state that leaves one part enters the next."""
    device = kernels.device
    x, parameters = make_tokens(2, 20, 6).to(device), make_parameters(6, 12, 4, 4, 2)
    parameters = VimmParameters(*(p.to(device) for p in parameters))
    y, _ = kernels.kernels.vimm(x, parameters)
    state = VimmState(x.new_zeros(2, 3, 12), x.new_zeros(2, 12, 4))
    parts = []
    for start, end in ((0, 1), (1, 3), (3, 20)):
        part, state = kernels.kernels.vimm(x[:, start:end], parameters, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), y, rtol=1e-5, atol=1e-5)


@pytest.mark.arithmetic
def test_result_does_not_depend_on_threads() -> None:
    x, parameters = make_tokens(5, 70, 20), make_parameters(20, 40, 16, 4, 2)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 7):
            torch.set_num_threads(count)
            results.append(run(vimm, x, parameters, residual=True))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("length", "channels", "inner", "rank"),
    [(1, 60, 120, 4), (97, 60, 120, 4), (53, 21, 42, 2), (50, 37, 35, 1)],
)
def test_bfloat16_products_are_near_those_of_float32(
    monkeypatch: pytest.MonkeyPatch, length: int, channels: int, inner: int, rank: int
) -> None:
    """Odd numbers of tokens and channels, too, as bfloat16 is multiplied in pairs of them."""
    cpu = pytest.importorskip("dvmsr.kernels.cpu")
    monkeypatch.setitem(cpu.vimm.__globals__, "_MULTIPLIES_BFLOAT16", True)
    x, parameters = make_tokens(2, length, channels), make_parameters(channels, inner, 16, 4, rank)
    want = run(cpu.vimm, x, parameters, residual=True)
    with torch.autocast("cpu", torch.bfloat16):
        got = run(cpu.vimm, x, parameters, residual=True)
    assert got["y"].dtype == torch.float32
    for name, expected in want.items():
        error = (got[name] - expected).norm() / expected.norm() if expected.any() else got[name].norm()
        # 8 bits of a number, through three products or six.
        assert error < 0.04, f"{name}: {error:.2e}"
    assert not torch.equal(got["y"], want["y"])


@pytest.mark.arithmetic
def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = pytest.importorskip("dvmsr.kernels.cpu")
    monkeypatch.setitem(cpu.vimm.__globals__, "_MULTIPLIES_BFLOAT16", False)
    x, parameters = make_tokens(1, 20, 12), make_parameters(12, 24, 4, 4, 1)
    want = run(cpu.vimm, x, parameters, residual=False)
    with torch.autocast("cpu", torch.bfloat16):
        got = run(cpu.vimm, x, parameters, residual=False)
    assert all(torch.equal(got[name], value) for name, value in want.items())


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Fill what the operators allocate with NaN: what is read before it is written shows."""
    pytest.importorskip("dvmsr.kernels.cpu")
    before = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.utils.deterministic.fill_uninitialized_memory = before
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("poisoned_memory")
@native
@pytest.mark.parametrize(("channels", "inner", "states"), [(60, 120, 16), (13, 21, 5)])
def test_reads_no_memory_that_nothing_wrote(kernels: Any, channels: int, inner: int, states: int) -> None:
    assert torch.empty(3).isnan().all()
    x, parameters = make_tokens(2, 61, channels), make_parameters(channels, inner, states, 4, 2)
    assert_matches_the_definition(kernels, x, parameters)


@pytest.mark.arithmetic
def test_floating_point_flags_are_restored() -> None:
    run(vimm, make_tokens(1, 4, 8), make_parameters(8, 16, 4, 4, 1), residual=False)
    assert (torch.tensor([1e-38]) * 1e-4).item() > 0, "denormals are still flushed after the module"


def test_native_forms_are_proper_operators() -> None:
    pytest.importorskip("dvmsr.kernels.cpu")
    parameters = make_parameters(8, 16, 4, 4, 1)
    flat = parameters._replace(conv_weight=parameters.conv_weight.squeeze(1))
    inputs = [p.requires_grad_() for p in (make_tokens(2, 20, 8), *flat)]
    library.opcheck(torch.ops.dvmsr.vimm.default, (*inputs, True, False))
    with torch.no_grad():
        y, kept = torch.ops.dvmsr.vimm(*inputs, True, False)
        backward = (*(p.detach() for p in inputs), True, False, kept, torch.ones_like(y))
        library.opcheck(torch.ops.dvmsr.vimm_backward.default, backward)


@native
# torch.compile does so itself.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_without_graph_breaks(kernels: Any) -> None:
    x, parameters = make_tokens(1, 12, 8), make_parameters(8, 16, 4, 4, 1)
    compiled = torch.compile(kernels.kernels.vimm, fullgraph=True, backend="aot_eager")
    want = run(kernels.kernels.vimm, x, parameters, residual=True)
    assert_same(run(compiled, x, parameters, residual=True), want, 1e-6)
