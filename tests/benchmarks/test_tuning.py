"""The script that tunes on photographs, tried on a few small ones."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image


def test_measures_and_writes(run_script, tmp_path):
    photographs, output = tmp_path / "photographs", tmp_path / "tuning.json"
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (130, 131, 3), np.uint8)).save(photographs / f"{number}.png")
    few = ("--tuned", 2, "--scored", 1, "--threads", 1, "--output", output)
    done = run_script("tuning.py", photographs, *few, "--steps", 1)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert list(report["psnr_y"]) == ["0", "1"]
    assert report["seconds"] > 0

    done = run_script("tuning.py", photographs, "--output", output)
    assert done.returncode == 2
    assert "expected 60 photographs" in done.stderr
