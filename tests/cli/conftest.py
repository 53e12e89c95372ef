"""What the tests of the commands share."""

from __future__ import annotations

import gc
import signal
import sys

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig
from dvmsr.cli import main
from dvmsr.images import imresize
from dvmsr.weights import parameter_shapes, save_weights


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Arguments that choose a small network of noise: files are the matter here, not looks."""
    config = NetworkConfig(channels=16, blocks=1, vimms_per_block=1)
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config)
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    save_weights(path, {name: rng.normal(0, 0.05, shape) for name, shape in shapes.items()}, config)
    return ["--weights", str(path)]


@pytest.fixture
def benchmark_set(tmp_path):
    """Two images of noise in the layout of a benchmark set for scale 4."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "Noise" / "x4"
    for name in ("one", "two"):
        high = rng.integers(0, 256, (64, 48, 3), np.uint8)
        for kind, pixels in (("HR", high), ("LR", imresize(high, 1 / 4))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
            image.write_to_file(str(folder / kind / f"{name}.png"))
    return folder


@pytest.fixture
def dvmsr(monkeypatch, capsys):
    """Run a command line in this process: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dvmsr", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        captured = capsys.readouterr()
        return exited.value.code, captured.out, captured.err

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
    # What a process that ends soon need not look at, this one should.
    gc.unfreeze()
