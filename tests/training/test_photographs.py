from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvmsr import ArgumentError, DatasetError
from dvmsr.images import imresize, read_image
from dvmsr.training import DataSettings
from dvmsr.training.photograph_files import find_photographs, fingerprint_files
from dvmsr.training.photographs import Photograph, PhotographLoader, open_pixels

MEMORY = 1 << 30


def load(
    data: DataSettings, *, scale: int = 4, memory: int = MEMORY, cache: Path = Path("none"), threads: int = 1
) -> tuple[list[Photograph], list[str]]:
    reports: list[str] = []
    loader = PhotographLoader(data, scale, memory, cache, threads, reports.append)
    return loader.load(find_photographs(data)), reports


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_images_are_made_by_bicubic(photographs, scale):
    loaded, reports = load(DataSettings(hr=(str(photographs),), patch=8), scale=scale)
    assert reports == []
    assert len(loaded) == 3
    for photograph, path in zip(loaded, sorted(photographs.iterdir()), strict=True):
        whole = read_image(path)
        height, width = (side - side % scale for side in whole.shape[:2])
        high = open_pixels(photograph.high)
        np.testing.assert_array_equal(high, whole[:height, :width])
        np.testing.assert_array_equal(photograph.low, imresize(high, 1 / scale))
        assert photograph.low.shape[0] * scale == height


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_low_images_of_benchmarks_come_out_the_same(shared, name, scale):
    """Bit by bit, away from the border."""
    folder = shared(f"benchmarks/{name}/x{scale}")
    loaded, _ = load(DataSettings(hr=(str(folder / "HR"),), patch=8), scale=scale, threads=2)
    lows = sorted((folder / "LR").iterdir())
    for photograph, path in zip(loaded, lows, strict=True):
        inside = np.s_[4:-4, 4:-4]
        np.testing.assert_array_equal(photograph.low[inside], read_image(path)[inside], err_msg=str(path))


def test_pairs_are_taken_as_they_are(photographs, tmp_path):
    for path in photographs.iterdir():
        Image.fromarray(255 - imresize(np.asarray(Image.open(path))[:64, :64], 1 / 4)).save(
            tmp_path / path.name
        )
    hr = tmp_path / "hr"
    hr.mkdir()
    for path in photographs.iterdir():
        Image.fromarray(np.asarray(Image.open(path))[:67, :64]).save(hr / path.name)
    loaded, _ = load(DataSettings(hr=(str(hr),), lr=(str(tmp_path),), patch=8))
    for photograph in loaded:
        high = open_pixels(photograph.high)
        assert (photograph.low.shape, high.shape) == ((16, 16, 3), (64, 64, 3))
        np.testing.assert_array_equal(photograph.low, 255 - imresize(high, 1 / 4))


def test_pairs_that_do_not_fit(photographs, tmp_path):
    for path in photographs.iterdir():
        Image.new("RGB", (16, 16)).save(tmp_path / path.name)
    data = DataSettings(hr=(str(photographs),), lr=(str(tmp_path),), patch=8)
    with pytest.raises(DatasetError, match=r"0\.png is 66x70 pixels, but scale 4 of .*0\.png is 64x64"):
        load(data)
    (tmp_path / "1.png").rename(tmp_path / "other.png")
    with pytest.raises(DatasetError, match=r"has no partner in .*: 1; HR and LR images pair by name"):
        load(data)


def test_pairs_as_div2k_names_them(tmp_path):
    for file in ("HR/0001.png", "HR/0002.png", "X4/0001x4.png", "X4/0002x4.png"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = find_photographs(DataSettings(hr=(str(tmp_path / "HR"),), lr=(str(tmp_path / "X4"),)))
    assert [(file.high.name, file.low.name) for file in found if file.low] == [
        ("0001.png", "0001x4.png"),
        ("0002.png", "0002x4.png"),
    ]


@pytest.mark.parametrize("twice", ["hr", "lr"])
def test_two_images_of_one_name_are_no_pair(tmp_path, twice):
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
    (tmp_path / twice / "a.jpg").touch()
    data = DataSettings(hr=(str(tmp_path / "hr"),), lr=(str(tmp_path / "lr"),))
    with pytest.raises(DatasetError, match=rf"{twice}: two images named a: a\.jpg, a\.png"):
        find_photographs(data)
    # Without pairs, both are photographs.
    assert len(find_photographs(DataSettings(hr=(str(tmp_path / twice),)))) == 2


def test_a_folder_named_like_an_image_is_none(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").mkdir()
    (found,) = find_photographs(DataSettings(hr=(str(tmp_path),)))
    assert found.high.name == "a.png"


def test_augmentation_adds_smaller_sizes(photographs):
    data = DataSettings(hr=(str(photographs),), patch=10, scale_augmentation=(0.75, 0.5))
    loaded, _ = load(data)
    # At half size, one photograph is less than 10 LR pixels on one side; it is left out.
    assert [photograph.name.partition(" at ")[2] for photograph in loaded] == [
        "",
        "0.75",
        "",
        "0.75",
        "",
        "0.75",
    ]
    whole = read_image(sorted(photographs.iterdir())[0])
    np.testing.assert_array_equal(open_pixels(loaded[1].high), imresize(whole, 0.75)[:52, :48])


def test_beyond_the_memory_photographs_lie_on_the_disk(photographs, tmp_path):
    data = DataSettings(hr=(str(photographs),), patch=8)
    in_memory, _ = load(data)
    first = open_pixels(in_memory[0].high).nbytes + in_memory[0].low.nbytes
    partly, _ = load(data, memory=first, cache=tmp_path / "cache", threads=2)
    assert [isinstance(photograph.high, Path) for photograph in partly] == [False, True, True]
    for one, other in zip(in_memory, partly, strict=True):
        np.testing.assert_array_equal(open_pixels(one.high), open_pixels(other.high))
        np.testing.assert_array_equal(one.low, other.low)


def test_a_file_changed_far_behind_its_start_gives_its_new_pixels(tmp_path):
    (tmp_path / "hr").mkdir()
    file = tmp_path / "hr" / "a.tif"
    data = DataSettings(hr=(str(tmp_path / "hr"),), patch=8)
    pixels = np.zeros((200, 200, 3), np.uint8)
    fingerprints, starts = [], []
    for value in (0, 255):
        pixels[150:] = value
        Image.fromarray(pixels).save(file)
        fingerprints.append(fingerprint_files(find_photographs(data)))
        starts.append((file.stat().st_size, file.read_bytes()[: 1 << 16]))
        (photograph,), _ = load(data, memory=0, cache=tmp_path / "cache")
        np.testing.assert_array_equal(open_pixels(photograph.high), pixels)
    assert starts[0] == starts[1]
    assert fingerprints[0] != fingerprints[1]


def test_cache_that_cannot_be_written(photographs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="cannot be written"):
        load(DataSettings(hr=(str(photographs),), patch=8), memory=0, cache=tmp_path / "file")


def test_16_bit_and_grey_photographs(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (40, 44), np.uint8)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    (deep, shallow), _ = load(DataSettings(hr=(str(tmp_path),), patch=8))
    np.testing.assert_array_equal(open_pixels(deep.high), open_pixels(shallow.high))


def test_damaged_images_are_named_and_left_out(photographs, tmp_path):
    for path in photographs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "1.png"
    broken.write_bytes(broken.read_bytes()[:400])
    (tmp_path / "2.png").write_bytes(b"no image")
    loaded, reports = load(DataSettings(hr=(str(tmp_path),), patch=8))
    assert [Path(photograph.name).name for photograph in loaded] == ["0.png"]
    first, second, summary = reports
    assert str(broken) in first
    assert str(tmp_path / "2.png") in second
    assert summary == "2 of 3 images left out"
    (tmp_path / "0.png").write_bytes(b"no image either")
    with pytest.raises(DatasetError, match="none of the 3 images can be read"):
        load(DataSettings(hr=(str(tmp_path),), patch=8))


def test_smaller_than_a_patch(photographs):
    with pytest.raises(DatasetError, match=r"a patch of 68x68 pixels: .*0\.png, .*1\.png, .*2\.png; take"):
        load(DataSettings(hr=(str(photographs),), patch=17))


@pytest.mark.parametrize(("folder", "message"), [("none", "expected a folder"), ("", "no images in it")])
def test_missing_and_empty_folders(tmp_path, folder, message):
    with pytest.raises(DatasetError, match=message):
        find_photographs(DataSettings(hr=(str(tmp_path / folder),)))


def test_no_folder():
    with pytest.raises(DatasetError, match="name a folder"):
        find_photographs(DataSettings())


def test_fingerprint_tells_sets_apart(photographs, tmp_path):
    data = DataSettings(hr=(str(photographs),))
    before = fingerprint_files(find_photographs(data))
    for path in photographs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy = DataSettings(hr=(str(tmp_path),))
    assert fingerprint_files(find_photographs(copy)) == before
    Image.new("RGB", (64, 64)).save(tmp_path / "0.png")
    assert fingerprint_files(find_photographs(copy)) != before
