from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dvmsr import Upscaler
from dvmsr.errors import ArgumentError
from dvmsr.images import imresize, open_image, read_image
from dvmsr.inference.choosing import choose_model
from dvmsr.inference.files import upscale_file


def photograph(sigma=0):
    rng = np.random.default_rng(0)
    smooth = imresize(rng.integers(40, 216, (6, 6, 3), np.uint8), output_size=(64, 64))
    return (smooth + rng.normal(0, sigma, smooth.shape)).round().clip(0, 255).astype(np.uint8)


@pytest.fixture
def file(tmp_path):
    def save(kind, sigma=0, **options):
        content = io.BytesIO()
        Image.fromarray(photograph(sigma)).save(content, kind, **options)
        path = tmp_path / f"image.{kind.lower()}"
        path.write_bytes(content.getvalue())
        return path

    return save


def test_what_lost_nothing_is_for_the_clean_network(file):
    for path in (file("PNG"), file("TIFF"), file("WEBP", lossless=True)):
        choice = choose_model(open_image(path))
        assert (choice.model, choice.strength, choice.reason) == ("clean", 0, "nothing lost")


def test_the_coarser_a_jpeg_the_stronger(file):
    choices = [choose_model(open_image(file("JPEG", quality=quality))) for quality in (100, 95, 80, 40, 5)]
    strengths = [choice.strength for choice in choices]
    assert strengths == sorted(strengths)
    assert strengths[-1] == 1
    assert choices[-2].model == "photo"
    assert choices[-2].reason == "JPEG of quality 40"


def test_other_lossy_formats_and_noise_are_for_the_photo_network(file):
    assert choose_model(open_image(file("WEBP", quality=80))).reason == "WebP"
    noisy = choose_model(open_image(file("PNG", sigma=10)))
    assert noisy.model == "photo"
    assert noisy.strength == 1
    assert noisy.reason in ("noise of 9/255", "noise of 10/255", "noise of 11/255")


def test_auto_makes_of_a_file_what_the_chosen_network_makes(file, tmp_path):
    auto = Upscaler(model="auto", threads=1)
    path = file("JPEG", quality=40)
    done = upscale_file(auto, path, tmp_path / "out.png")
    assert done.choice == choose_model(open_image(path))
    expected = Upscaler(model="photo", strength=done.choice.strength, threads=1).upscale(read_image(path))
    np.testing.assert_array_equal(read_image(done.target), expected)
    # Arrays do not tell where they came from.
    np.testing.assert_array_equal(
        auto.upscale(read_image(path)), Upscaler(threads=1).upscale(read_image(path))
    )


def test_each_strength_is_made_once_and_keeps_the_threads():
    auto = Upscaler(model="auto", threads=3)
    half = auto.with_strength(0.5)
    assert half.threads == 3
    assert auto.with_threads(1).with_strength(0.5)._engine is half._engine
    assert half.with_strength(0)._engine is not half._engine


def test_own_weights_have_no_strength(make_weights):
    upscaler = Upscaler(make_weights(Upscaler().config), threads=1)
    assert upscaler.model is None
    with pytest.raises(ArgumentError, match="other weights have no strength"):
        upscaler.with_strength(0.5)
    with pytest.raises(ArgumentError, match="either weights or a model"):
        Upscaler(make_weights(Upscaler().config), model="photo")
