"""The script that measures training by several processes, run on tiny patches."""

from __future__ import annotations

import json

import pytest


def test_measures_and_writes(run_script, tmp_path):
    output = tmp_path / "tiny.json"
    done = run_script("training_processes.py", "--patch", 4, "--steps", 5, "--repeats", 1, "--output", output)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(output.read_text())["rows"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["ratio"] == 1
    assert two["ratio"] == pytest.approx(two["patches_per_second"] / one["patches_per_second"])
