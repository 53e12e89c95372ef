from pathlib import Path

import pytest

from dvmsr.errors import DatasetError
from dvmsr.evaluation.datasets import open_set, open_sets


def make_set(folder, high, low):
    for name, files in (("HR", high), ("LR", low)):
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).touch()
    return folder


def test_pairs_by_name(tmp_path):
    folder = make_set(tmp_path, high=["b.png", "a.png", "._a.png"], low=["a.jpg", "b.PNG", "Thumbs.db"])
    pairs = open_set(folder).pairs
    assert [pair.name for pair in pairs] == ["a", "b"]
    assert (pairs[0].high, pairs[0].low) == (folder / "HR" / "a.png", folder / "LR" / "a.jpg")


@pytest.mark.parametrize(
    ("place", "name"), [("Set5", "Set5"), ("Set5/x4", "Set5"), ("Set14/x2", "Set14"), ("mine/x8", "x8")]
)
def test_name_is_the_folders(tmp_path, place, name):
    assert open_set(make_set(tmp_path / place, ["a.png"], ["a.png"])).name == name


def test_name_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(make_set(tmp_path / "Set5/x4", ["a.png"], ["a.png"]))
    assert open_set(Path()).name == "Set5"


@pytest.mark.parametrize("missing", ["HR", "LR"])
def test_missing_folder(tmp_path, missing):
    folder = make_set(tmp_path / "Set5", [], [])
    (folder / missing).rmdir()
    (folder / ("LR" if missing == "HR" else "HR") / "a.png").touch()
    with pytest.raises(DatasetError, match=f"Set5: no folder {missing}; expected HR/ and LR/"):
        open_set(folder)


def test_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="LR: no images"):
        open_set(make_set(tmp_path, ["a.png"], []))


@pytest.mark.parametrize(
    ("high", "low", "message"),
    [
        ("ab", "b", "in HR but not in LR: a$"),
        ("b", "bc", "in LR but not in HR: c$"),
        ("abcdef", "f", "in HR but not in LR: a, b, c and 2 more$"),
    ],
)
def test_unpaired_names(tmp_path, high, low, message):
    folder = make_set(tmp_path, [f"{name}.png" for name in high], [f"{name}.png" for name in low])
    with pytest.raises(DatasetError, match=message):
        open_set(folder)


def test_one_name_twice_in_a_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"two images named a: a\.jpg, a\.png"):
        open_set(make_set(tmp_path, ["a.png", "a.jpg"], ["a.png"]))


def test_sets_keep_their_order(tmp_path):
    folders = [make_set(tmp_path / name, ["a.png"], ["a.png"]) for name in ("Set5", "BSD100")]
    assert [benchmark.name for benchmark in open_sets(folders)] == ["Set5", "BSD100"]


def test_two_sets_of_one_name(tmp_path):
    folders = [make_set(tmp_path / name, ["a.png"], ["a.png"]) for name in ("Set5/x2", "Set5/x4")]
    with pytest.raises(DatasetError, match="second set named Set5"):
        open_sets(folders)
