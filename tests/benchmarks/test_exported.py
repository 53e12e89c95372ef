"""The script that measures exported models, run on a tiny image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "exported.py"


def test_measures_and_writes(tmp_path):
    output = tmp_path / "tiny.json"
    options = {"--side": 8, "--repeats": 1, "--threads": 1, "--output": output}
    arguments = [str(part) for option in options.items() for part in option]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert [row["runtime"] for row in rows[:2]] == ["engine", "onnxruntime"]
    assert all(row["seconds"] > 0 for row in rows)
