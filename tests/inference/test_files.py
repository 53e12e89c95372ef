from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig, Upscaler
from dvmsr.errors import ArgumentError, DatasetError, ImageReadError, ImageWriteError
from dvmsr.images import read_image
from dvmsr.inference.files import FileTask, plan_files, upscale_file
from dvmsr.weights import Weights, parameter_shapes


@pytest.fixture(scope="module")
def upscaler():
    """A small network of noise: files are the matter here, not looks."""
    config = NetworkConfig(channels=16, blocks=1, vimms_per_block=1)
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config)
    noise = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    return Upscaler(Weights(config, noise, "noise"), threads=1)


def write_noise(path, height=19, width=14, channels=3):
    # From 1: what lies under transparent pixels is another matter.
    pixels = np.random.default_rng(0).integers(1, 256, (height, width, channels), np.uint8)
    image = pyvips.Image.new_from_array(pixels)
    image.copy(interpretation="b-w" if channels < 3 else "srgb").write_to_file(str(path))
    return pixels


def test_file_holds_what_the_array_gives(tmp_path, upscaler):
    # More rows than are read at once, and not a multiple of them.
    pixels = write_noise(tmp_path / "low.png", height=37)
    done = upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    assert np.array_equal(read_image(tmp_path / "high.png"), upscaler.upscale(pixels))
    assert (done.source, done.target) == (tmp_path / "low.png", tmp_path / "high.png")
    assert (done.width, done.height, done.scale) == (14, 37, upscaler.scale)
    assert done.seconds > 0


def test_grey_and_alpha(tmp_path, upscaler):
    pixels = write_noise(tmp_path / "low.png", channels=2)
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    result = pyvips.Image.new_from_file(str(tmp_path / "high.png")).numpy()
    colours = upscaler.upscale(np.repeat(pixels[..., :1], 3, axis=2))
    assert result.shape == (*colours.shape[:2], 2)
    assert np.array_equal(result[..., 0], np.floor(colours.mean(axis=2) + 0.5))


def test_progress_is_told_up_to_the_end(tmp_path, upscaler):
    write_noise(tmp_path / "low.png", height=50)
    told = []
    upscale_file(
        upscaler,
        tmp_path / "low.png",
        tmp_path / "high.png",
        progress=lambda finished, total: told.append((finished, total)),
    )
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (50 * 14, 50 * 14)
    assert {total for _, total in told} == {50 * 14}


def test_folder_of_the_target_is_created(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    target = tmp_path / "new" / "folder" / "high.png"
    upscale_file(upscaler, tmp_path / "low.png", target)
    assert target.exists()


def test_folder_of_the_target_cannot_be_created(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    (tmp_path / "file").touch()
    with pytest.raises(ImageWriteError, match=r"file cannot be created: (Not a directory|File exists)"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "file" / "high.png")


def test_nothing_is_created_for_a_bad_source(tmp_path, upscaler):
    with pytest.raises(ImageReadError, match="no such file"):
        upscale_file(upscaler, tmp_path / "none.png", tmp_path / "new" / "high.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "width", "cause"),
    [("high.bmp", 14, "expected a name that ends in"), ("high.webp", 4097, "holds up")],
)
def test_no_folder_is_created_for_a_target_that_cannot_be(tmp_path, upscaler, name, width, cause):
    write_noise(tmp_path / "low.png", height=1, width=width)
    with pytest.raises(ImageWriteError, match=cause):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "new" / "folder" / name)
    assert list(tmp_path.iterdir()) == [tmp_path / "low.png"]


def plan(*inputs, output=None, suffix=None):
    tasks = plan_files(inputs, output, scale=4, suffix=suffix)
    return {task.source.name: task.target for task in tasks}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.PNG", "a.jpg", "c.gif", "notes.txt", ".hidden.png"):
        (folder / name).touch()
    (folder / "album.png").mkdir()
    return folder


def test_name_beside_the_input(tmp_path):
    assert plan(tmp_path / "a.jpg") == {"a.jpg": tmp_path / "a_x4.jpg"}
    assert plan(tmp_path / "a.jpg", suffix=".png") == {"a.jpg": tmp_path / "a_x4.png"}
    assert plan(tmp_path / "a.gif") == {"a.gif": tmp_path / "a_x4.png"}


def test_output_for_one_file(tmp_path):
    (tmp_path / "existing.folder").mkdir()
    assert plan(tmp_path / "a.jpg", output=tmp_path / "b.png") == {"a.jpg": tmp_path / "b.png"}
    # Whether it can be written is for the writer to say.
    assert plan(tmp_path / "a.jpg", output=tmp_path / "b.bmp") == {"a.jpg": tmp_path / "b.bmp"}
    for folder in (tmp_path / "existing.folder", tmp_path / "new"):
        assert plan(tmp_path / "a.jpg", output=folder) == {"a.jpg": folder / "a_x4.jpg"}


def test_several_files(tmp_path):
    inputs = (tmp_path / "a.jpg", tmp_path / "b.tif")
    assert plan(*inputs) == {"a.jpg": tmp_path / "a_x4.jpg", "b.tif": tmp_path / "b_x4.tif"}
    into = tmp_path / "out"
    assert plan(*inputs, output=into) == {"a.jpg": into / "a_x4.jpg", "b.tif": into / "b_x4.tif"}


def test_folder(photos):
    beside = photos.with_name("photos_x4")
    names = {"a.jpg": "a_x4.jpg", "b.PNG": "b_x4.PNG", "c.gif": "c_x4.png"}
    assert plan(photos) == {name: beside / target for name, target in names.items()}
    assert list(plan(photos)) == sorted(names)
    into = photos.parent / "out"
    assert plan(photos, output=into) == {name: into / target for name, target in names.items()}


def test_folder_without_a_name(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert plan(Path())["a.jpg"] == photos.with_name("photos_x4") / "a_x4.jpg"


def test_folder_without_images(tmp_path):
    with pytest.raises(DatasetError, match="no images in it"):
        plan(tmp_path)


def test_output_must_be_a_folder(tmp_path, photos):
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(photos, output=tmp_path / "high.png")
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(tmp_path / "a.png", tmp_path / "b.png", output=photos / "notes.txt")
    with pytest.raises(ArgumentError, match="expected a folder"):
        plan(tmp_path / "a.png", output=tmp_path / "b.png", suffix=".jpg")


def test_two_images_for_one_target(tmp_path):
    inputs = (tmp_path / "a.jpg", tmp_path / "a.png")
    assert plan_files(inputs, scale=2) == [
        FileTask(inputs[0], tmp_path / "a_x2.jpg"),
        FileTask(inputs[1], tmp_path / "a_x2.png"),
    ]
    with pytest.raises(ArgumentError, match=r"both .*a\.jpg and .*a\.png would be written"):
        plan(*inputs, suffix=".png")
