"""The script that measures training, run on tiny patches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dvmsr._native import multiplies_bfloat16

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training_step.py"


def test_measures_and_writes(tmp_path):
    output = tmp_path / "tiny.json"
    options = {"--threads": 1, "--batch": 2, "--patch": 4, "--tokens": 20, "--repeats": 1, "--output": output}
    arguments = [str(part) for option in options.items() for part in option]
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert [(row["task"], row["kernels"], row["tokens"]) for row in rows] == [
        ("step", "cpu", 16),
        *([("step", "bf16", 16)] if multiplies_bfloat16() else []),
        ("step", "composed", 16),
        ("step", "reference", 16),
        ("scan", "cpu", 20),
        ("scan", "reference", 20),
    ]
    for row in rows:
        assert row["seconds"] > 0
        assert row["peak_mib"] >= row["base_mib"] > 0
