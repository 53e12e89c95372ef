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


def test_lr_without_hr(tmp_path):
    folder = make_set(tmp_path / "Set5", ["a.png"], ["a.png"])
    (folder / "HR" / "a.png").unlink()
    (folder / "HR").rmdir()
    with pytest.raises(DatasetError, match="Set5: no folder HR; expected HR/ and LR/"):
        open_set(folder)


def test_no_folder(tmp_path):
    with pytest.raises(DatasetError, match="none: no folder HR"):
        open_set(tmp_path / "none")


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("HR/baby.png", "LR/baby.png"),
        ("HR/baby.png", "LR/babyx4.png"),
        ("HR/baby.png", "LR_bicubic/X4/babyx4.png"),
        ("HR/0001.png", "LR/X4/0001x4m.png"),
        ("DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X4/0801x4.png"),
        ("GTmod12/baby.png", "LRbicx4/baby.png"),
        ("HR/img_001_SRF_4_HR.png", "LR/img_001_SRF_4_LR.png"),
        ("HR/baby_HR_x4.png", "LR/baby_LRBI_x4.png"),
        ("image_SRF_4/img_001_SRF_4_HR.png", "image_SRF_4/img_001_SRF_4_LR.png"),
    ],
)
def test_layouts_of_downloads(tmp_path, high, low):
    folder = tmp_path / "Set5"
    # What lies beside them: the other scale's folder, and what else SelfExSR's folders hold.
    for file in (high, low, low.replace("4", "2"), high.replace("_HR", "_bicubic")):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        if file in (high, low) or "/X2/" in file or "SRF_4/" in file:
            (folder / file).touch()
    found = open_set(folder / "image_SRF_4" if high.startswith("image") else folder, scale=4)
    assert found.name == "Set5"
    assert [(pair.high, pair.low) for pair in found.pairs] == [(folder / high, folder / low)]
    assert found.has_low


@pytest.mark.parametrize("place", ["HR", "."])
def test_hr_alone(tmp_path, place):
    folder = tmp_path / "Mine"
    (folder / place).mkdir(parents=True)
    for name in ("b.png", "a.png"):
        (folder / place / name).touch()
    found = open_set(folder)
    assert found.name == "Mine"
    assert [(pair.name, pair.low) for pair in found.pairs] == [("a", None), ("b", None)]
    assert not found.has_low


def test_name_of_hr_images_that_were_named_themselves(tmp_path):
    folder = make_set(tmp_path / "Set5" / "x4", ["a.png"], ["a.png"])
    assert open_set(folder / "HR").name == "Set5"


def test_two_sets_in_one_folder(tmp_path):
    for name in ("DIV2K_train_HR", "DIV2K_valid_HR"):
        (tmp_path / name).mkdir()
    with pytest.raises(DatasetError, match="holds DIV2K_train_HR and DIV2K_valid_HR; lay each set"):
        open_set(tmp_path)


def test_names_that_become_one(tmp_path):
    folder = make_set(tmp_path, ["a.png", "b.png"], ["ax4.png", "a_x4.png"])
    with pytest.raises(DatasetError, match=r"LR: two images named a: a_x4\.png, ax4\.png"):
        open_set(folder)


def test_names_that_end_like_a_scale_pair_as_they_are(tmp_path):
    folder = make_set(tmp_path, ["bmw x4.png", "bmw x3.png"], ["bmw x4.png", "bmw x3.png"])
    assert [pair.name for pair in open_set(folder).pairs] == ["bmw x3", "bmw x4"]


def test_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="LR: no images"):
        open_set(make_set(tmp_path, ["a.png"], []))


@pytest.mark.parametrize(
    ("high", "low", "message"),
    [
        ("ab", "b", "HR: has no partner in .*LR: a; HR and LR"),
        ("b", "bc", "LR: has no partner in .*HR: c; HR and LR"),
        ("abcdef", "f", "HR: has no partner in .*LR: a, b, c and 2 more; HR and LR"),
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
