"""The script that measures a GPU, tried on the CPU with tiny images."""

from __future__ import annotations

import json

import pytest


def test_measures_and_writes(run_script, tmp_path):
    output = tmp_path / "tiny.json"
    sizes = ("--sides", 16, "--batch", 1, "--patch", 16, "--repeats", 1)
    done = run_script("gpu.py", "--device", "cpu", *sizes, "--output", output)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    found = {(row["task"], row["implementation"], row["precision"]) for row in rows}
    for precision in ("fp32", "bf16"):
        assert {(task, "dvmsr", precision) for task in ("scan", "vimm", "model", "step")} <= found
        assert {(task, "rlfn", precision) for task in ("model", "step")} <= found
    assert {(task, "reference", "fp32") for task in ("scan", "vimm", "model", "step")} <= found
    assert all(row["seconds"] > 0 for row in rows)
    assert "tiny.json" in done.stdout.splitlines()[-1]


def test_without_a_gpu_says_so(run_script, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this processor lacks no GPU")
    done = run_script("gpu.py", "--output", tmp_path / "none.json")
    assert done.returncode == 1
    assert done.stderr == "PyTorch sees no CUDA GPU here; this measures one\n"
