"""The AMX kernels, as they were built, on any processor with bfloat16 vectors: under an emulator of AMX.

The emulator (amx_emulator.hpp) carries out the very instructions in the built object file, so packing,
tile shapes, strides and tails are tested; asking the system for the tiles is not.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dvmsr import NetworkConfig
from dvmsr.engine import Engine

HERE = Path(__file__).parent
CONFIG = NetworkConfig(blocks=1, vimms_per_block=2)


def built_objects() -> list[str]:
    """The object files of the last build: the kernels, and what runs a network with them."""
    kernels = sorted(
        HERE.parents[1].glob("build/*/CMakeFiles/kernels_amx.dir/native/kernels.cpp.o"),
        key=lambda path: path.stat().st_mtime,
    )
    if not kernels:
        pytest.skip("the build folder holds no AMX kernels: install with pip install -e .")
    rest = kernels[-1].parents[2] / "_native.dir" / "native"
    return [
        str(kernels[-1]),
        *(str(rest / f"{name}.cpp.o") for name in ("kept_threads", "network", "profile", "stream")),
    ]


def test_products_and_a_network(tmp_path, make_weights):
    if platform.machine() != "x86_64" or "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor lacks avx512_bf16")
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or "clang++"
    program = tmp_path / "amx_program"
    subprocess.run(
        [
            compiler,
            "-std=c++17",
            "-O1",
            str(HERE / "amx_program.cpp"),
            *built_objects(),
            "-pthread",
            "-o",
            program,
        ],
        check=True,
    )
    weights = make_weights(CONFIG)
    with (tmp_path / "weights").open("wb") as file:
        for name, array in weights.parameters.items():
            file.write(f"{name}\n{array.size}\n".encode())
            file.write(array.tobytes())
    # Rows of two tiles, one that lies over them, and none that is too short.
    image = np.random.default_rng(0).random((11, 41, 3), np.float32)
    image.tofile(tmp_path / "image")
    numbers = (
        *image.shape[:2], CONFIG.scale, CONFIG.channels, CONFIG.blocks, CONFIG.vimms_per_block,
        CONFIG.state_size, CONFIG.inner_channels, CONFIG.conv_width, CONFIG.dt_rank,
    )  # fmt: skip
    files = [tmp_path / name for name in ("weights", "image", "output")]
    done = subprocess.run(
        [program, *files, *map(str, numbers)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000  # products of tiles

    def enlarged(precision: str) -> np.ndarray:
        return Engine(weights, precision).stream(41, np.float32, 1).push(image, last=True)

    exact = enlarged("fp32")
    got = np.fromfile(tmp_path / "output", np.float32).reshape(exact.shape)
    # As between the other instruction sets (test_parity.py): most of the error is in common.
    error = enlarged("bf16") - exact
    assert np.abs(got - exact - error).mean() < 0.5 * np.abs(error).mean()
