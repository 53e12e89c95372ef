"""The engine against the PyTorch network and the stored reference."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvmsr import NetworkConfig
from dvmsr.config import MAX_STATE_SIZE
from dvmsr.engine import Engine
from dvmsr.kernels import using
from dvmsr.model import DVMSR
from dvmsr.weights import Weights, load_weights, save_weights

TOLERANCE = 1e-4

pytestmark = [pytest.mark.arithmetic, pytest.mark.usefixtures("one_torch_thread")]

configs = st.builds(
    NetworkConfig,
    scale=st.sampled_from([2, 3, 4]),
    channels=st.integers(4, 40),
    blocks=st.integers(1, 3),
    vimms_per_block=st.integers(1, 3),
    state_size=st.integers(1, 20),
    expansion=st.integers(1, 3),
    conv_width=st.integers(1, 5),
    vimm_residual=st.booleans(),
)
sides = st.integers(1, 12)


def enlarge(weights: Weights, image: np.ndarray, precision: str = "fp32") -> np.ndarray:
    return Engine(weights, precision).stream(image.shape[1], image.dtype, 1).push(image, last=True)


def by_definition(weights: Weights, image: np.ndarray, dtype: torch.dtype = torch.float64) -> np.ndarray:
    """The PyTorch network, its kernels as they are defined."""
    with using("reference"), torch.no_grad():
        network = DVMSR.from_weights(weights).to(dtype)
        return network(torch.from_numpy(image).to(dtype).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def assert_same(got: np.ndarray, want: np.ndarray, rounding: float = 0) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= TOLERANCE * max(1, np.abs(want).max()) + 10 * rounding


@settings(max_examples=50, deadline=None)
@given(config=configs, height=sides, width=sides, seed=st.integers(0, 2**32 - 1))
def test_any_configuration(make_weights, config, height, width, seed):
    image = np.random.default_rng(seed).random((height, width, 3), np.float32)
    weights = make_weights(config, seed)
    want = by_definition(weights, image)
    # Some of these networks amplify rounding, in PyTorch too: LayerNorm over few channels that nearly agree.
    rounding = np.abs(by_definition(weights, image, torch.float32) - want).max()
    assert_same(enlarge(weights, image), want, rounding)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_few_channels(make_weights, channels):
    weights = make_weights(NetworkConfig(channels=channels, blocks=1, vimms_per_block=1))
    image = np.random.default_rng(0).random((5, 6, 3), np.float32)
    assert_same(enlarge(weights, image), by_definition(weights, image))


@pytest.mark.parametrize("config", [NetworkConfig(), NetworkConfig(scale=2, vimm_residual=True)])
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 65), (65, 1), (7, 15), (16, 17), (3, 97), (2, 195)]
)
def test_the_student(make_weights, config, height, width):
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    weights = make_weights(config)
    assert_same(enlarge(weights, image), by_definition(weights, image))


def test_a_wide_network(make_weights):
    """The teacher's width, whose matrices are of more panels than the student's."""
    weights = make_weights(NetworkConfig(channels=192, blocks=1, vimms_per_block=1))
    image = np.random.default_rng(0).random((5, 6, 3), np.float32)
    assert_same(enlarge(weights, image), by_definition(weights, image))


def test_as_many_states_as_there_may_be(make_weights):
    weights = make_weights(NetworkConfig(channels=4, blocks=1, vimms_per_block=1, state_size=MAX_STATE_SIZE))
    image = np.random.default_rng(0).random((3, 5, 3), np.float32)
    assert_same(enlarge(weights, image), by_definition(weights, image))


@pytest.mark.parametrize("name", ["ntire2024", "paper"])
def test_the_stored_reference(shared, name):
    weights = load_weights(shared(f"weights/dvmsr-x4-author-{name}.safetensors"))
    with np.load(shared(f"reference/forward-{name}.npz")) as data:
        cases = [key.removeprefix("input_") for key in data if key.startswith("input_")]
        assert len(cases) == 5
        for case in cases:
            image, want = data[f"input_{case}"], data[f"output_{case}"]
            assert np.abs(enlarge(weights, image.astype(np.float32) / 255) - want).max() <= TOLERANCE, case
            rounded = np.floor(np.clip(want, 0, 1) * 255 + 0.5)
            # Where the reference lies on the edge between two values, either is right.
            on_edge = np.abs(want * 255 - np.floor(want * 255) - 0.5) < 255 * TOLERANCE
            assert ((enlarge(weights, image) == rounded) | on_edge).all(), case


PROGRAM = """
import sys
import numpy as np
from dvmsr.engine import Engine, instruction_set
from dvmsr.weights import load_weights

weights, image, output = sys.argv[1:]
image = np.load(image)
for precision in ("fp32", "bf16"):
    engine = Engine(load_weights(weights), precision)
    enlarged = engine.stream(image.shape[1], image.dtype, 1).push(image, last=True)
    np.save(f"{output}/{precision}.npy", enlarged)
print(instruction_set())
"""


def run_with(instructions: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=os.environ | {"DVMSR_INSTRUCTION_SET": instructions},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory, make_weights):
    """A file of weights, a file of an image, what is to come out, and what bfloat16 changes here."""
    folder = tmp_path_factory.mktemp("instructions")
    config = NetworkConfig(channels=60, blocks=1, vimms_per_block=2, vimm_residual=True)
    save_weights(folder / "noise.safetensors", make_weights(config).parameters, config)
    image = np.random.default_rng(0).random((9, 21, 3), np.float32)
    np.save(folder / "image.npy", image)
    weights = load_weights(folder / "noise.safetensors")
    error = enlarge(weights, image, "bf16") - enlarge(weights, image)
    return folder / "noise.safetensors", folder / "image.npy", by_definition(weights, image), error


@pytest.fixture(scope="module")
def unknown_instructions(case, tmp_path_factory):
    """What is said of instructions that nobody has."""
    done = run_with("sse9", *case[:2], tmp_path_factory.mktemp("none"))
    assert done.returncode != 0
    return done.stderr.splitlines()[-1]


def test_unknown_instruction_set_is_one_clear_error(unknown_instructions):
    assert re.fullmatch(
        r"dvmsr\.errors\.ArgumentError: DVMSR_INSTRUCTION_SET is 'sse9', "
        r"and this processor and build have: ((((amx, )?avx512_bf16, )?avx512, )?avx2, )?baseline",
        unknown_instructions,
    )


@pytest.mark.parametrize("name", ["amx", "avx512_bf16", "avx512", "avx2", "baseline"])
def test_every_instruction_set(tmp_path, case, unknown_instructions, name):
    if name not in re.findall(r"\w+", unknown_instructions.rpartition(":")[2]):
        pytest.skip(f"this processor lacks {name}")
    weights, image, want, error = case
    done = run_with(name, weights, image, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    assert_same(np.load(tmp_path / "fp32.npy"), want)
    # Sets differ by their float32 roundings, which now and then tip a bfloat16 to its neighbour; what they
    # have in common shows that all round in the same places (test_precision.py says in which).
    got = np.load(tmp_path / "bf16.npy") - want
    assert np.abs(got - error).mean() < 0.5 * np.abs(error).mean()


def test_best_instruction_set_is_taken_by_default(tmp_path, case, unknown_instructions):
    best = re.findall(r"\w+", unknown_instructions.rpartition(":")[2])[0]
    assert run_with("", *case[:2], tmp_path).stdout == f"{best}\n"
