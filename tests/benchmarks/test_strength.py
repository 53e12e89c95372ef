from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import pyvips

import strength
from dvmsr.images import imresize, read_image


@pytest.fixture
def benchmark_set(tmp_path):
    """One small image in the layout of a set."""
    folder = tmp_path / "Small" / "x4"
    high = read_image(strength.Path(__file__).parents[2] / "examples" / "chelsea.png")[60:156, 160:288]
    for kind, pixels in (("HR", high), ("LR", imresize(high, 1 / 4))):
        (folder / kind).mkdir(parents=True)
        image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation="srgb")
        image.write_to_file(str(folder / kind / "cat.png"))
    return folder


def test_the_whole_script(benchmark_set, tmp_path, monkeypatch):
    output = tmp_path / "result.json"
    options = [str(benchmark_set), "--between", str(benchmark_set), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["strength.py", *options])
    strength.main()
    told = json.loads(output.read_text())
    rows = told["sets"]["Small"]
    assert set(rows) == set(strength.IN_README)
    assert set(rows["jpeg40"]) == {"bicubic", "0", "1", "auto"}
    assert rows["jpeg40"]["auto"] == rows["jpeg40"]["1"]
    assert rows["clean"]["auto"] == rows["clean"]["0"]
    between = told["between"]["Small"]
    assert set(between) == set(strength.CONDITIONS)
    assert between["jpeg40"]["1"] == rows["jpeg40"]["1"]
    assert between["jpeg40"]["0.5"]["psnr_y"] > rows["jpeg40"]["0"]["psnr_y"]


def test_a_grid_and_a_tone_are_seen():
    flat = np.full((128, 128, 3), 100, np.uint8)
    blocks = flat + np.uint8(3) * (np.arange(128) // 32 % 2).astype(np.uint8)[:, None]
    across, elsewhere = strength.grid_left(blocks, flat)
    assert (across > 0, elsewhere) == (True, 0)
    assert strength.grid_left(flat, flat) == (0, 0)
    assert strength.tone_shift(flat + np.uint8(2), flat) == pytest.approx(2, abs=0.1)
