from __future__ import annotations

import numpy as np
import pytest

import dvmsr
from dvmsr.errors import ArgumentError
from dvmsr.images import read_image
from dvmsr.weights import save_weights


@pytest.fixture(scope="module")
def weights(upscaler, make_weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    made = make_weights(upscaler.config)
    save_weights(path, made.parameters, made.config)
    return path


def test_a_folder_twice(tmp_path, write_noise, weights):
    for name in ("a.png", "deep/b.jpg"):
        write_noise(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    told = []
    asked = {"scale": 2.5, "recursive": True, "format": "png", "weights": weights, "threads": 2}
    report = dvmsr.upscale_files(
        tmp_path / "in", tmp_path / "out", **asked, progress=lambda done, total: told.append((done, total))
    )
    assert {file.target for file in report.files} == {
        tmp_path / "out" / "a_x2.5.png",
        tmp_path / "out" / "deep" / "b_x2.5.png",
    }
    assert [entry.path.name for entry in report.passed_over] == ["notes.txt"]
    assert (report.failed, report.left, told[-1]) == ([], [], (60, 60))
    expected = dvmsr.Upscaler(weights).upscale(read_image(tmp_path / "in" / "a.png"), scale=2.5)
    assert np.array_equal(read_image(tmp_path / "out" / "a_x2.5.png"), expected)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    report = dvmsr.upscale_files(str(tmp_path / "in"), str(tmp_path / "out"), **asked)
    assert (report.files, len(report.finished)) == ([], 2)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}


def test_a_list(tmp_path, write_noise, weights):
    sources = [write_noise(tmp_path / name) for name in ("a.png", "b.png")]
    report = dvmsr.upscale_files([*sources, tmp_path / "none.png"], weights=weights)
    assert {file.source for file in report.files} == set(sources)
    assert [failure.path.name for failure in report.failed] == ["none.png"]


def test_arguments_that_are_none(tmp_path, write_noise, weights):
    source = write_noise(tmp_path / "a.png")
    with pytest.raises(ArgumentError, match="either a scale or a size"):
        dvmsr.upscale_files(source, scale=2, size="10x10", weights=weights)
    with pytest.raises(ArgumentError, match="empty"):
        dvmsr.upscale_files([], weights=weights)
    report = dvmsr.upscale_files(source, format="bmp", weights=weights)
    assert "expected a name that ends in" in report.failed[0].message
