"""An exported model in a browser's runtime: ONNX Runtime's WebAssembly, by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dvmsr import Upscaler
from dvmsr.export.network import build_model
from dvmsr.weights import load_weights

FOLDER = Path(__file__).parent / "web"


@pytest.fixture(scope="module")
def packages() -> None:
    """Node and its packages; they are installed here on the first run."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node and npm (Debian, Ubuntu: apt install nodejs npm)")
    if not (FOLDER / "node_modules" / "onnxruntime-web").is_dir():
        command = ["npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install onnxruntime-web: {done.stderr.strip()[-200:]}")


@pytest.mark.usefixtures("packages")
def test_equals_the_engine(tmp_path):
    (tmp_path / "x4.onnx").write_bytes(build_model(load_weights()).SerializeToString())
    image = np.random.default_rng(0).random((23, 31, 3), np.float32)
    image.transpose(2, 0, 1).tofile(tmp_path / "in")
    command = ["node", "run.mjs", tmp_path / "x4.onnx", "23", "31", tmp_path / "in", tmp_path / "out"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dims"] == [1, 3, 92, 124]
    output = np.fromfile(tmp_path / "out", np.float32).reshape(3, 92, 124).transpose(1, 2, 0)
    assert np.abs(output - Upscaler(threads=1).upscale(image)).max() < 1e-4
