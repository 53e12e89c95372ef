"""A node of a real cluster dies at work: nothing is lost, and nothing done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dvmsr import Upscaler
from dvmsr.images import read_image

PROGRAM = Path(__file__).with_name("killed_node.py")
IMAGES = 24


@pytest.fixture
def folder(tmp_path, write_noise):
    for number in range(IMAGES):
        write_noise(tmp_path / "in" / f"{number:02}.png", height=64, width=60, seed=number)
    return tmp_path / "in"


def test_a_node_is_killed_in_the_middle(folder, tmp_path):
    rounds = int(os.environ.get("DVMSR_KILLED_NODE_ROUNDS", "1"))
    results = tmp_path / "out"
    command = [sys.executable, str(PROGRAM), str(folder), str(results), str(rounds)]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300 * rounds,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    upscaler = Upscaler(threads=1)
    names = sorted(f"{number:02}_x4.png" for number in range(IMAGES))
    # Among what Ray tells of a node that dies.
    lines = [line for line in run.stdout.splitlines() if line.startswith('{"nodes"')]
    assert len(lines) == rounds
    for number, told in enumerate(map(json.loads, lines)):
        assert (told["nodes"], told["processors"], told["tasks"]) == (3, 3, IMAGES)
        # It was at work, and there was work left.
        assert IMAGES // 3 <= told["killed_after"] < IMAGES
        assert told["raylet_has_ended"]
        # Each is told once, as done.
        assert (told["failed"], told["left"]) == ([], 0)
        assert told["events"] == {f"{image:02}.png": 1 for image in range(IMAGES)}
        assert sorted(told["enlarged"]) == names
        # Nothing half, and nothing hidden.
        assert sorted(path.name for path in (results / str(number)).iterdir()) == names
        for image in range(0, IMAGES, 5):
            expected = upscaler.upscale(read_image(folder / f"{image:02}.png"))
            assert np.array_equal(read_image(results / str(number) / f"{image:02}_x4.png"), expected)
        if rounds > 1:
            print(
                f"round {number + 1}: killed after {told['killed_after']} of {IMAGES}, notes {told['notes']}"
            )
