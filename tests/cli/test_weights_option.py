"""Weights that do not say which network they are of, on the command line; and counts beyond all measure."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
from safetensors.numpy import load_file, save_file

from dvmsr.images import read_image


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    path = tmp_path / "photo.png"
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(path))
    return path


@pytest.fixture
def bare(network, tmp_path):
    """The small network's file, converted by somebody who kept the tensors alone."""
    save_file(load_file(network[1]), tmp_path / "bare.safetensors")
    return tmp_path / "bare.safetensors"


def test_residual_is_asked_for(dvmsr, photo, bare, tmp_path, network):
    code, out, err = dvmsr("upscale", photo, "--weights", bare)
    assert (code, out) == (2, "")
    assert err.startswith(
        f"dvmsr: error: {bare}: does not say whether each ViMM adds its input to its output"
    )
    assert err.count("\n") == 1

    results = {}
    for name, options in {
        "yes": ["--weights", bare, "--residual", "yes"],
        "no": ["--weights", bare, "--residual", "no"],
        "metadata": network,
    }.items():
        target = tmp_path / f"{name}.png"
        assert dvmsr("upscale", photo, "-o", target, *options)[0] == 0
        results[name] = read_image(target)
    assert np.array_equal(results["no"], results["metadata"])
    assert not np.array_equal(results["yes"], results["no"])


def test_info_tells_it(dvmsr, bare):
    _, out, _ = dvmsr("info", "--weights", bare, "--residual", "yes")
    assert "vimm residual" in out
    assert "True" in out


def test_evaluate_takes_it(dvmsr, bare, benchmark_set):
    assert dvmsr("evaluate", benchmark_set, "--weights", bare)[0] == 2
    assert dvmsr("evaluate", benchmark_set, "--weights", bare, "--residual", "no")[0] == 0


@pytest.mark.parametrize("threads", [3_000_000_000, 2**70])
def test_threads_that_native_code_cannot_count(dvmsr, photo, network, threads):
    code, out, err = dvmsr("upscale", photo, *network, "--threads", threads)
    assert (code, out) == (2, "")
    assert err == "dvmsr: error: threads must be a whole number up to 2147483647, got a larger one\n"
