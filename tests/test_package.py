"""What ``import dvmsr`` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dvmsr


def modules_after(program: str) -> set[str]:
    """The modules that a fresh interpreter has imported by the end of a program."""
    command = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import dvmsr",
        "from dvmsr import *",
        "import dvmsr.cli",
        "import dvmsr.inference.files, dvmsr.engine, dvmsr.images, dvmsr.weights",
    ],
)
def test_imports_neither_pytorch_nor_the_web(program):
    assert modules_after(program).isdisjoint({"torch", "lightning", "gradio"})


def test_import_waits_with_what_computes():
    assert modules_after("import dvmsr").isdisjoint({"numpy", "dvmsr._native", "pyvips", "safetensors"})


def test_arrays_need_neither_libvips_nor_pytorch():
    program = """
import numpy as np, dvmsr
from dvmsr.weights import Weights, parameter_shapes
config = dvmsr.NetworkConfig(channels=1, blocks=1, vimms_per_block=1)
noise = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(config).items()}
dvmsr.upscale(np.zeros((2, 2, 3), np.uint8), weights=Weights(config, noise, "noise"), threads=1)
"""
    modules = modules_after(program)
    assert "dvmsr._native" in modules
    assert modules.isdisjoint({"pyvips", "torch"})


def test_public_names():
    assert sorted(dvmsr.__all__) == sorted(set(dvmsr.__all__))
    for name in dvmsr.__all__:
        assert getattr(dvmsr, name) is not None, name
    assert set(dvmsr.__all__) <= set(dir(dvmsr))


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'dvmsr' has no attribute 'Downscaler'"):
        dvmsr.Downscaler  # noqa: B018


def test_types_are_shipped():
    assert (Path(dvmsr.__file__).parent / "py.typed").exists()
