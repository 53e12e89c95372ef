"""The native code built for 64-bit ARM (NEON), in an emulator, against the same code on this machine."""

from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dvmsr._native as _native
from dvmsr import NetworkConfig
from dvmsr.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "aarch64"
COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64"
# The plainest of its kind: NEON and nothing that came after it.
PROCESSOR = "cortex-a53"

# As between the engine and the definition.
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cmake", COMPILER, EMULATOR)),
    reason=f"cmake, {COMPILER} or {EMULATOR} is missing: apt install cmake g++-aarch64-linux-gnu qemu-user",
)


@pytest.fixture(scope="module")
def program():
    """The test program, built for ARM with the flags of the extension."""
    settings = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": COMPILER,
        "CMAKE_CXX_FLAGS": "-Werror",
        "CMAKE_BUILD_TYPE": "Release",
        "DVMSR_TEST_PROGRAM": "program",
    }
    definitions = [f"-D{key}={value}" for key, value in settings.items()]
    for command in (
        ["cmake", "-S", ROOT, "-B", BUILD, *definitions],
        ["cmake", "--build", BUILD, "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "program"


def run(program, work, folder, *heights, **settings):
    """Run the program under the emulator on the arrays in a folder."""
    arguments = [*(f"{key}={value}" for key, value in settings.items()), *map(str, heights)]
    done = subprocess.run(
        [EMULATOR, "-cpu", PROCESSOR, program, work, folder, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # Four lanes: what NEON has.
    assert (done.returncode, done.stdout) == (0, "baseline 4\n"), done.stderr


def read(folder, name, dtype=np.float32):
    return np.fromfile(folder / f"{name}.bin", dtype)


def noise(height, width, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == np.float32:
        return rng.random((height, width, 3), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def enlarge(program, folder, weights, image, heights, threads, precision="fp32"):
    """The image through the program, in blocks of these heights and the rest."""
    (folder / "parameters").mkdir(exist_ok=True)
    for name, values in weights.parameters.items():
        values.tofile(folder / "parameters" / f"{name}.bin")
    image.tofile(folder / "image.bin")
    config = {key: int(value) for key, value in dataclasses.asdict(weights.config).items()}
    del config["expansion"]
    run(
        program,
        "network",
        folder,
        *heights,
        **config,
        inner_channels=weights.config.inner_channels,
        dt_rank=weights.config.dt_rank,
        pixel=image.dtype.name,
        width=image.shape[1],
        threads=threads,
        bfloat16=int(precision == "bf16"),
    )
    scale = weights.config.scale
    shape = (scale * image.shape[0], scale * image.shape[1], 3)
    return read(folder, "output", image.dtype).reshape(shape)


def here(weights, image, precision="fp32"):
    return Engine(weights, precision).stream(image.shape[1], image.dtype, 1).push(image, last=True)


CASES = [
    (NetworkConfig(), (9, 13), np.float32),
    (NetworkConfig(scale=2, vimm_residual=True), (1, 70), np.uint8),
    (NetworkConfig(scale=3, channels=20, blocks=2, state_size=5), (17, 5), np.uint16),
    (NetworkConfig(channels=37, blocks=3, vimms_per_block=1, state_size=1, expansion=1), (5, 1), np.float32),
    (NetworkConfig(scale=2, channels=3, blocks=1, vimms_per_block=3, conv_width=1), (12, 33), np.uint8),
    (NetworkConfig(channels=8, blocks=1, conv_width=5, expansion=3), (1, 1), np.uint16),
]


@pytest.mark.parametrize(("config", "size", "dtype"), CASES)
def test_network(program, tmp_path, make_weights, config, size, dtype):
    """As on this machine, and the same bits for any blocks and threads."""
    weights, image = make_weights(config), noise(*size, dtype)
    got, want = enlarge(program, tmp_path, weights, image, [], 1), here(weights, image)
    if dtype == np.float32:
        assert np.abs(got - want).max() <= TOLERANCE * max(1, np.abs(want).max())
    else:
        assert np.abs(got.astype(int) - want).max() <= math.ceil(TOLERANCE * np.iinfo(dtype).max)
        # Values on the edge between two numbers are few.
        assert dtype == np.uint16 or (got != want).mean() < 0.01
    assert got.std() > 0
    third = size[0] // 3
    for heights, threads in (([1, 0, third], 2), ([third] * 3, 5)):
        assert np.array_equal(enlarge(program, tmp_path, weights, image, heights, threads), got)


def test_bfloat16_network(program, tmp_path, make_weights):
    """What bfloat16 changes is much the same as on this machine, and the bits are the same for any blocks."""
    weights, image = make_weights(NetworkConfig(blocks=1, vimm_residual=True)), noise(9, 21, np.float32)
    got = enlarge(program, tmp_path, weights, image, [], 1, "bf16")
    exact = here(weights, image)
    error = here(weights, image, "bf16") - exact
    # Float32's own roundings differ here, and now and then tip a bfloat16 to its neighbour.
    assert np.abs(got - exact - error).mean() < 0.5 * np.abs(error).mean()
    assert np.array_equal(enlarge(program, tmp_path, weights, image, [4, 1], 3, "bf16"), got)


def test_denormals_are_flushed(program, tmp_path, make_weights):
    """A denormal bias is all that the last layer gets, and it makes it large."""
    weights = make_weights(NetworkConfig(channels=4, blocks=1, vimms_per_block=1))

    def enlarged(bias):
        for values in weights.parameters.values():
            values.fill(0)
        weights.parameters["deep.bias"].fill(bias)
        weights.parameters["reconstruct.weight"].fill(1e38)
        return enlarge(program, tmp_path, weights, noise(6, 8, np.float32), [], 2)

    want = enlarged(0)
    assert np.array_equal(enlarged(1e-41), want)
    # What the test stands on: a bias that is not flushed reaches the output.
    assert np.abs(enlarged(2e-38) - want).min() > 1


def compare(program, folder, work, inputs, outputs, **sizes):
    """Hold outputs of the program against those of this machine, under 1 and 3 threads."""
    for name, values in inputs.items():
        values.tofile(folder / f"{name}.bin")
    first = {}
    for threads in (1, 3):
        run(program, work, folder, threads=threads, **sizes)
        for name, want in outputs.items():
            got = read(folder, name)
            assert np.isfinite(got).all(), name
            assert np.abs(got - want.ravel()).max() <= TOLERANCE * np.abs(want).max(), name
            assert np.array_equal(got, first.setdefault(name, got)), name


def empty(*shape):
    return np.full(shape, np.nan, np.float32)


@pytest.mark.parametrize(
    ("batch", "length", "channels", "states"), [(2, 33, 21, 16), (1, 100, 16, 5), (3, 1, 3, 1)]
)
def test_selective_scan(program, tmp_path, batch, length, channels, states):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    tokens, parts = (batch, length, channels), (batch, channels)
    inputs = {
        "u": normal(*tokens),
        "delta": normal(*tokens),
        "A": -np.exp(2 * normal(channels, states)),
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D": normal(channels),
        "z": normal(*tokens),
        "delta_bias": normal(channels),
        "initial_state": normal(*parts, states),
    }
    chunks = -(-length // _native.SCAN_CHUNK)
    forward = {
        "y": empty(*tokens),
        "last_state": empty(*parts, states),
        "checkpoints": empty(batch, chunks, states, channels),
    }
    given = {"grad_y": normal(*tokens), "grad_last_state": normal(*parts, states)}
    backward = {
        "grad_u": empty(*tokens),
        "grad_delta": empty(*tokens),
        "grad_A": empty(*parts, states),
        "grad_B": empty(batch, length, states),
        "grad_C": empty(batch, length, states),
        "grad_D": empty(*parts),
        "grad_z": empty(*tokens),
        "grad_delta_bias": empty(*parts),
        "grad_initial_state": empty(*parts, states),
    }
    _native.selective_scan_forward(*inputs.values(), *forward.values(), threads=1)
    checkpoints = forward.pop("checkpoints")
    _native.selective_scan_backward(
        *inputs.values(), checkpoints, *given.values(), *backward.values(), threads=1
    )
    sizes = {"batch": batch, "length": length, "channels": channels, "states": states}
    compare(program, tmp_path, "scan", inputs | given, forward | backward, **sizes)


@pytest.mark.parametrize(
    ("batch", "length", "channels", "taps"), [(2, 65, 21, 4), (1, 2, 5, 6), (3, 9, 8, 1)]
)
def test_causal_conv(program, tmp_path, batch, length, channels, taps):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    tokens = (batch, length, channels)
    inputs = {"x": normal(*tokens), "weight": normal(taps, channels), "bias": normal(channels)}
    given = {"grad_y": normal(*tokens)}
    forward = {"y": empty(*tokens)}
    backward = {
        "grad_x": empty(*tokens),
        "grad_weight": empty(batch, taps, channels),
        "grad_bias": empty(batch, channels),
    }
    _native.causal_conv_forward(*inputs.values(), *forward.values(), threads=1)
    _native.causal_conv_backward(*inputs.values(), *given.values(), *backward.values(), threads=1)
    sizes = {"batch": batch, "length": length, "channels": channels, "taps": taps}
    compare(program, tmp_path, "conv", inputs | given, forward | backward, **sizes)
