"""Parts of images, as they are tried first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvmsr import ArgumentError, Upscaler
from dvmsr.images import open_image, read_image
from dvmsr.inference import parts
from dvmsr.inference.files import FileOptions, upscale_file
from dvmsr.inference.parts import Box, enlarge_part
from dvmsr.inference.sizes import OutputSize

PHOTO = Path(__file__).parents[2] / "examples" / "chelsea.png"


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(threads=1)


@pytest.fixture
def photo(tmp_path):
    """(64, 96) of a photograph, as the kind of file that is asked for."""

    def make(mode="RGB"):
        path = tmp_path / "photo.png"
        image = Image.open(PHOTO).convert("RGB").crop((100, 80, 196, 144))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        elif mode == "LA":
            image = image.convert("LA")
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(path)
        return path

    return make


def test_is_close_to_what_the_whole_becomes(upscaler, photo, tmp_path, monkeypatch):
    path, box = photo(), Box(40, 24, 32, 24)
    upscale_file(upscaler, path, tmp_path / "whole.png")
    whole = read_image(tmp_path / "whole.png")[96:192, 160:288].astype(float)

    def error():
        assert enlarge_part(
            upscaler, path, box, FileOptions(), tmp_path / "before.png", tmp_path / "after.png"
        ) == (128, 96)
        return np.sqrt(((read_image(tmp_path / "after.png") - whole) ** 2).mean())

    with_margin = error()
    np.testing.assert_array_equal(read_image(tmp_path / "before.png"), read_image(path)[24:48, 40:72])
    monkeypatch.setattr(parts, "MARGIN", 0)
    assert with_margin < 0.8 * error()
    assert with_margin < 1


@pytest.mark.parametrize("mode", ["RGB", "I;16", "LA"])
def test_all_of_it_is_the_whole(upscaler, photo, tmp_path, mode):
    path, size = photo(mode), OutputSize(scale=2)
    options = FileOptions(size=size)
    upscale_file(upscaler, path, tmp_path / "whole.png", options)
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    assert enlarge_part(upscaler, path, Box(0, 0, 96, 64), options, before, after) == (192, 128)
    for part, whole in ((before, path), (after, tmp_path / "whole.png")):
        made, expected = open_image(part), open_image(whole)
        assert (made.grey, made.has_alpha, made.dtype) == (expected.grey, expected.has_alpha, expected.dtype)
        for one, other in zip(made.samples(1000), expected.samples(1000), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", ["long=333", "50x50", "1500x"])
def test_any_size_of_the_whole(upscaler, photo, tmp_path, size):
    path, box = photo(), Box(90, 0, 6, 7)
    options = FileOptions(size=OutputSize.parse(size))
    width, height = options.size.of(96, 64)
    made = enlarge_part(upscaler, path, box, options, tmp_path / "before.png", tmp_path / "after.png")
    assert made == (round(6 * width / 96), round(7 * height / 64))
    assert read_image(tmp_path / "after.png").shape == (made[1], made[0], 3)


@pytest.mark.parametrize("box", [Box(-1, 0, 8, 8), Box(0, 0, 0, 8), Box(90, 0, 7, 8), Box(0, 60, 8, 5)])
def test_outside(upscaler, photo, tmp_path, box):
    with pytest.raises(ArgumentError, match="expected a part of 96x64 pixels"):
        enlarge_part(upscaler, photo(), box, FileOptions(), tmp_path / "b.png", tmp_path / "a.png")
