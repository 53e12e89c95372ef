"""Every kernel of the selective scan against the definition, and the definition against float64 data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import library

from dvmsr.config import MAX_STATE_SIZE
from dvmsr.kernels import reference, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")
Inputs = dict[str, torch.Tensor]

pytestmark = pytest.mark.usefixtures("one_torch_thread")

# Largest difference over the largest value.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 2e-2}


def make_inputs(batch: int, length: int, channels: int, states: int, *, seed: int = 0) -> Inputs:
    gen = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=gen)

    return {
        "u": normal(batch, length, channels),
        "delta": normal(batch, length, channels),
        "A": -torch.exp(2 * normal(channels, states)),
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D": normal(channels),
        "z": normal(batch, length, channels),
        "delta_bias": normal(channels),
        "initial_state": normal(batch, channels, states),
    }


def run(kernel: Callable[..., tuple[torch.Tensor, torch.Tensor]], inputs: Inputs) -> dict[str, torch.Tensor]:
    """Outputs and every gradient, under the same random gradients of both outputs."""
    leaves = {name: x.clone().requires_grad_() for name, x in inputs.items()}
    y, last_state = kernel(*(leaves[name] for name in NAMES))
    gen = torch.Generator().manual_seed(1)
    grad_y = torch.randn(y.shape, generator=gen).to(y.dtype)
    grad_state = torch.randn(last_state.shape, generator=gen).to(last_state.dtype)
    torch.autograd.backward((y, last_state), (grad_y.to(y.device), grad_state.to(y.device)))
    results = {"y": y.detach(), "last_state": last_state.detach()}
    return results | {f"grad_{name}": x.grad for name, x in leaves.items() if x.grad is not None}


def assert_same(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor], tolerance: float) -> None:
    assert got.keys() == want.keys()
    for name, expected in want.items():
        assert torch.isfinite(got[name]).all(), name
        error = (got[name].double() - expected.double()).abs().max()
        assert error <= tolerance * expected.double().abs().max(), f"{name}: {error:.2e}"


def doubled(inputs: Inputs) -> Inputs:
    return {name: x.double() for name, x in inputs.items()}


# The native form on every instruction set.
cpu_form = pytest.param("cpu", marks=pytest.mark.arithmetic)
both = pytest.mark.parametrize("kernels", [cpu_form, "gpu"], indirect=True)
gpu_only = pytest.mark.parametrize("kernels", ["gpu"], indirect=True)
# Triton's interpreter, which stands in for a GPU, takes minutes for these.
large_gpu_form = ["gpu"] if torch.cuda.is_available() else []


def run_form(kernels: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
    """Run a form of the kernel on its device, and bring the results back."""
    got = run(kernels.kernels.selective_scan, {name: x.to(kernels.device) for name, x in inputs.items()})
    return {name: x.cpu() for name, x in got.items()}


@both
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 31, 32, 33, 100])
def test_any_length_matches_the_definition(kernels: Any, length: int) -> None:
    """Lengths around the chunks of both forms."""
    inputs = make_inputs(2 if length < 100 else 1, length, 5, 16)
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run_form(kernels, inputs), want, TOLERANCE[torch.float32])


@pytest.mark.parametrize("kernels", [cpu_form, *large_gpu_form], indirect=True)
def test_a_long_sequence_matches_the_definition(kernels: Any) -> None:
    inputs = make_inputs(1, 1000, 5, 16)
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run_form(kernels, inputs), want, TOLERANCE[torch.float32])


@both
@pytest.mark.parametrize(
    ("batch", "channels", "states"),
    [(1, 120, 16), (3, 8, 16), (2, 21, 1), (1, 40, 5), (2, 16, 8), (1, 33, 20)],
)
def test_any_shape_matches_the_definition(kernels: Any, batch: int, channels: int, states: int) -> None:
    inputs = make_inputs(batch, 37, channels, states)
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run_form(kernels, inputs), want, TOLERANCE[torch.float32])


@gpu_only
@pytest.mark.parametrize("programs", [1, 2])
def test_any_number_of_chunks_matches_the_definition(
    kernels: Any, programs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.kernels.scan, "_PROGRAMS", programs)
    inputs = make_inputs(1, 60, 5, 16)
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run_form(kernels, inputs), want, TOLERANCE[torch.float32])


@pytest.mark.usefixtures("needs_cuda")
@gpu_only
@pytest.mark.parametrize(
    ("batch", "length", "channels"), [(1, 65_536, 120), (32, 4_096, 120), (2, 1_000, 384)]
)
def test_real_sizes_match_the_native_form(kernels: Any, batch: int, length: int, channels: int) -> None:
    """The definition would take too long there."""
    inputs = make_inputs(batch, length, channels, 16)
    cpu = pytest.importorskip("dvmsr.kernels.cpu")
    assert_same(run_form(kernels, inputs), run(cpu.selective_scan, inputs), TOLERANCE[torch.float32])


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_float32(kernels: Any, dtype: torch.dtype) -> None:
    inputs = {name: x.to(dtype) for name, x in make_inputs(1, 20, 24, 16).items()}
    got = run_form(kernels, inputs)
    assert got["y"].dtype == dtype
    assert got["last_state"].dtype == torch.float32
    assert_same(got, run(reference.selective_scan, doubled(inputs)), TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("kernels", "case"),
    [
        *((form, case) for form in ("reference", "gpu") for case in ("small", "state1")),
        *((form, "wide") for form in ("reference", *large_gpu_form)),
        *(pytest.param("cpu", case, marks=pytest.mark.arithmetic) for case in ("small", "wide", "state1")),
    ],
    indirect=["kernels"],
)
def test_matches_the_stored_reference(kernels: Any, case: str, shared: Callable[[str], Path]) -> None:
    with np.load(shared("reference/selective-scan.npz")) as data:
        stored = {
            key.split(".")[1]: torch.from_numpy(data[key]) for key in data if key.startswith(f"{case}.")
        }
    names = NAMES[:-1]  # it starts at zero
    leaves = {name: stored[name].to(kernels.device).requires_grad_() for name in names}
    y, last_state = kernels.kernels.selective_scan(*leaves.values())
    y.backward(stored["grad_y"].to(kernels.device))
    got = {"y": y.detach().cpu(), "last_state": last_state.detach().cpu()}
    got |= {f"grad_{name}": x.grad.cpu() for name, x in leaves.items() if x.grad is not None}
    assert len(got) == 10
    assert_same(got, {name: stored[name] for name in got}, 1e-4)


@both
def test_extreme_decay_and_tiny_steps_stay_exact_and_finite(kernels: Any) -> None:
    """A as the released weights have it, down to -7,000, with steps near 1e-4 and beyond both ends."""
    inputs = make_inputs(1, 100, 24, 16)
    inputs["A"] = -torch.logspace(-1.8, 3.86, 24 * 16).reshape(16, 24).T.contiguous()
    assert inputs["A"].min() < -7000
    inputs["delta_bias"] = torch.linspace(-12, 4, 24)
    inputs["delta_bias"][:8] = -9.2  # softplus(-9.2) is 1.01e-4
    inputs["delta"] *= 0.2
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run_form(kernels, inputs), want, 1e-4)


@both
def test_huge_gates_and_steps_do_not_overflow(kernels: Any) -> None:
    inputs = make_inputs(1, 40, 16, 16)
    inputs["z"] *= 100
    inputs["delta"] *= 60
    assert_same(run_form(kernels, inputs), run(reference.selective_scan, doubled(inputs)), 1e-4)


@both
def test_a_sequence_in_parts_is_the_whole(kernels: Any) -> None:
    """The state that leaves one part enters the next."""
    inputs = {name: x.to(kernels.device) for name, x in make_inputs(2, 50, 12, 16).items()}
    scan = kernels.kernels.selective_scan
    y, last_state = scan(**inputs)
    state, parts = inputs["initial_state"], []
    for start, end in ((0, 1), (1, 30), (30, 50)):
        along = {n: x[:, start:end] for n, x in inputs.items() if n in ("u", "delta", "B", "C", "z")}
        part, state = scan(**inputs | along | {"initial_state": state})
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last_state, rtol=1e-5, atol=1e-5)


@both
def test_the_same_inputs_give_the_same_bits(kernels: Any) -> None:
    inputs = make_inputs(2, 33, 20, 16)
    first, second = (run_form(kernels, inputs) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@both
def test_parts_of_wider_tokens_are_read_in_place(kernels: Any) -> None:
    """The network passes half of in_proj's output as the gate, and parts of x_proj's as B and C."""
    inputs = make_inputs(2, 40, 24, 16)
    want = run_form(kernels, inputs)
    gates = torch.cat([torch.full_like(inputs["z"], torch.nan), inputs["z"]], dim=-1)
    projected = torch.cat([inputs["B"][..., :4] * torch.nan, inputs["B"], inputs["C"]], dim=-1)
    parts = {"z": gates[..., 24:], "B": projected[..., 4:20], "C": projected[..., 20:]}
    leaves = {name: x.to(kernels.device) for name, x in (inputs | parts).items()}
    y, _ = kernels.kernels.selective_scan(**leaves)
    torch.testing.assert_close(y.cpu(), want["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.arithmetic
def test_result_does_not_depend_on_threads() -> None:
    inputs = make_inputs(3, 70, 40, 16)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            results.append(run(selective_scan, inputs))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


@pytest.mark.arithmetic
def test_floating_point_flags_are_restored() -> None:
    selective_scan(*make_inputs(1, 4, 16, 16).values())
    assert (torch.tensor([1e-38]) * 1e-4).item() > 0, "denormals are still flushed after the scan"


def test_the_native_room_for_states_is_what_a_configuration_may_ask_for() -> None:
    native = pytest.importorskip("dvmsr._native")
    assert native.MAX_STATES == MAX_STATE_SIZE


def test_native_form_is_a_proper_operator() -> None:
    pytest.importorskip("dvmsr.kernels.cpu")
    inputs = [x.requires_grad_() for x in make_inputs(2, 40, 20, 16).values()]
    library.opcheck(torch.ops.dvmsr.selective_scan.default, inputs)


@gpu_only
def test_triton_form_is_a_proper_operator(kernels: Any) -> None:
    inputs = [x.to(kernels.device).requires_grad_() for x in make_inputs(1, 3, 5, 16).values()]
    library.opcheck(torch.ops.dvmsr.selective_scan_gpu.default, (*inputs, True))


@both
def test_compiles_without_graph_breaks(kernels: Any) -> None:
    inputs = {name: x.to(kernels.device) for name, x in make_inputs(1, 12, 16, 16).items()}
    scan = kernels.kernels.selective_scan
    compiled = torch.compile(scan, fullgraph=True, backend="aot_eager")
    assert_same(run(compiled, inputs), run(scan, inputs), 1e-6)


@pytest.mark.usefixtures("needs_cuda")
@gpu_only
def test_runs_in_a_cuda_graph(kernels: Any) -> None:
    inputs = {name: x.cuda() for name, x in make_inputs(1, 500, 40, 16).items()}
    want, _ = kernels.kernels.selective_scan(**inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got, _ = kernels.kernels.selective_scan(**inputs)
    graph.replay()
    assert torch.equal(got, want)
