"""Every kernel of the selective scan against the definition, and the definition against float64 data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import dvmsr._native as _native
from dvmsr.config import MAX_STATE_SIZE
from dvmsr.kernels import cpu, reference, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
Inputs = dict[str, torch.Tensor]

pytestmark = [pytest.mark.arithmetic, pytest.mark.usefixtures("one_torch_thread")]

# Largest difference over the largest value.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 2e-2}


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
    }


def run(kernel: Callable[..., tuple[torch.Tensor, torch.Tensor]], inputs: Inputs) -> dict[str, torch.Tensor]:
    """Outputs and every gradient, under the same random gradients of both outputs."""
    leaves = {name: x.clone().requires_grad_() for name, x in inputs.items()}
    y, last_state = kernel(*(leaves[name] for name in NAMES))
    gen = torch.Generator().manual_seed(1)
    grad_y = torch.randn(y.shape, generator=gen).to(y.dtype)
    grad_state = torch.randn(last_state.shape, generator=gen).to(last_state.dtype)
    torch.autograd.backward((y, last_state), (grad_y, grad_state))
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


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 100])
@pytest.mark.parametrize(
    ("batch", "channels", "states"), [(1, 120, 16), (3, 8, 16), (2, 21, 1), (1, 40, 5), (2, 16, 8)]
)
def test_native_matches_the_definition(batch: int, length: int, channels: int, states: int) -> None:
    inputs = make_inputs(batch, length, channels, states)
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run(cpu.selective_scan, inputs), want, TOLERANCE[torch.float32])


def test_bfloat16_is_computed_in_float32() -> None:
    inputs = {name: x.bfloat16() for name, x in make_inputs(2, 50, 24, 16).items()}
    got = run(cpu.selective_scan, inputs)
    assert got["y"].dtype == torch.bfloat16
    assert_same(got, run(reference.selective_scan, doubled(inputs)), TOLERANCE[torch.bfloat16])


@pytest.mark.parametrize("kernel", [reference.selective_scan, cpu.selective_scan])
@pytest.mark.parametrize("case", ["small", "wide", "state1"])
def test_matches_the_stored_reference(
    kernel: Callable[..., tuple[torch.Tensor, torch.Tensor]], case: str, shared: Callable[[str], Path]
) -> None:
    with np.load(shared("reference/selective-scan.npz")) as data:
        stored = {
            key.split(".")[1]: torch.from_numpy(data[key]) for key in data if key.startswith(f"{case}.")
        }
    leaves = {name: stored[name].clone().requires_grad_() for name in NAMES}
    y, last_state = kernel(*leaves.values())
    y.backward(stored["grad_y"])
    got = {"y": y.detach(), "last_state": last_state.detach()}
    got |= {f"grad_{name}": x.grad for name, x in leaves.items() if x.grad is not None}
    assert_same(got, {name: stored[name] for name in got}, 1e-4)


def test_extreme_decay_and_tiny_steps_stay_exact_and_finite() -> None:
    """A as the released weights have it, down to -7,000, with steps near 1e-4 and beyond both ends."""
    inputs = make_inputs(1, 200, 24, 16)
    inputs["A"] = -torch.logspace(-1.8, 3.86, 24 * 16).reshape(16, 24).T.contiguous()
    assert inputs["A"].min() < -7000
    inputs["delta_bias"] = torch.linspace(-12, 4, 24)
    inputs["delta_bias"][:8] = -9.2  # softplus(-9.2) is 1.01e-4
    inputs["delta"] *= 0.2
    want = run(reference.selective_scan, doubled(inputs))
    assert_same(run(cpu.selective_scan, inputs), want, 1e-4)


def test_huge_gates_and_steps_do_not_overflow() -> None:
    inputs = make_inputs(1, 40, 16, 16)
    inputs["z"] *= 100
    inputs["delta"] *= 60
    assert_same(run(cpu.selective_scan, inputs), run(reference.selective_scan, doubled(inputs)), 1e-4)


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


def test_floating_point_flags_are_restored() -> None:
    selective_scan(*make_inputs(1, 4, 16, 16).values())
    assert (torch.tensor([1e-38]) * 1e-4).item() > 0, "denormals are still flushed after the scan"


def test_gate_that_is_part_of_wider_tokens_is_read_in_place() -> None:
    """The network passes one half of in_proj's output as the gate."""
    inputs = make_inputs(2, 40, 24, 16)
    wide = torch.cat([torch.full_like(inputs["z"], torch.nan), inputs["z"]], dim=-1)
    expected, _ = cpu.selective_scan(**inputs)
    got, _ = cpu.selective_scan(**inputs | {"z": wide[..., 24:]})
    assert torch.equal(got, expected)


def test_the_native_room_for_states_is_what_a_configuration_may_ask_for() -> None:
    assert _native.MAX_STATES == MAX_STATE_SIZE


def test_is_a_proper_operator() -> None:
    inputs = [x.requires_grad_() for x in make_inputs(2, 40, 20, 16).values()]
    torch.library.opcheck(torch.ops.dvmsr.selective_scan.default, inputs)


def test_compiles_without_graph_breaks() -> None:
    inputs = make_inputs(1, 12, 16, 16)
    compiled = torch.compile(cpu.selective_scan, fullgraph=True, backend="aot_eager")
    assert_same(run(compiled, inputs), run(cpu.selective_scan, inputs), 1e-6)
