"""The script that tunes on photographs, tried on a few small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tuning.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_measures_and_writes(tmp_path):
    photographs, output = tmp_path / "photographs", tmp_path / "tuning.json"
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (130, 131, 3), np.uint8)).save(photographs / f"{number}.png")
    few = ("--tuned", 2, "--scored", 1, "--threads", 1, "--output", output)
    done = run(photographs, *few, "--steps", 1)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert list(report["psnr_y"]) == ["0", "1"]
    assert report["seconds"] > 0

    few = run(photographs, "--output", output)
    assert few.returncode == 2
    assert "expected 60 photographs" in few.stderr
