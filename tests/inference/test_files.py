from __future__ import annotations

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig, Upscaler
from dvmsr.errors import ImageReadError, ImageWriteError
from dvmsr.images import read_image
from dvmsr.inference.files import upscale_file
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
    assert (done.width, done.height, done.target_width, done.target_height) == (14, 37, 56, 148)
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
