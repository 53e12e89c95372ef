from __future__ import annotations

import numpy as np
import pytest

from dvmsr.degradations import PRESETS, REDUCTIONS, Blur, Compression, Degradation, Noise, reduce
from dvmsr.errors import ArgumentError
from dvmsr.images import imresize, read_image


@pytest.fixture
def photograph():
    """Smooth blobs with some detail."""
    rng = np.random.default_rng(0)
    coarse = imresize(rng.integers(0, 256, (9, 12, 3), np.uint8), output_size=(96, 128))
    fine = rng.integers(-20, 21, coarse.shape)
    return (coarse + fine).clip(0, 255).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def point(height=61, width=61):
    image = np.zeros((height, width, 1), np.uint8)
    image[height // 2, width // 2] = 255
    return image


def spread(image):
    """Standard deviations along rows and columns, and the correlation of both, of an image's mass."""
    weights = image[..., 0].astype(float) / image.sum()
    y, x = np.indices(weights.shape) - np.array(weights.shape)[:, None, None] // 2
    variances = [float((weights * a * b).sum()) for a, b in ((x, x), (y, y), (x, y))]
    return variances[0] ** 0.5, variances[1] ** 0.5, variances[2]


@pytest.mark.parametrize(
    ("blur", "along_rows", "along_columns", "tilt"),
    [
        (Blur(1.0), 1.0, 1.0, 0),
        (Blur(1.4, across=0.6), 1.4, 0.6, 0),
        (Blur(1.4, across=0.6, angle=np.pi / 2), 0.6, 1.4, 0),
        (Blur(1.4, across=0.6, angle=np.pi / 4), 1.077, 1.077, 1),
    ],
)
def test_a_point_spreads_as_the_gaussian_says(blur, along_rows, along_columns, tilt):
    found = spread(blur.apply(point()))
    assert found[0] == pytest.approx(along_rows, abs=0.15)
    assert found[1] == pytest.approx(along_columns, abs=0.15)
    assert np.sign(round(found[2], 1)) == tilt


def test_blur_keeps_shape_brightness_and_flat_borders(photograph):
    blurred = Blur(2.0, across=0.5, angle=0.3).apply(photograph)
    assert blurred.shape == photograph.shape
    assert blurred.mean() == pytest.approx(photograph.mean(), abs=0.5)
    flat = np.full((20, 30, 3), 77, np.uint8)
    np.testing.assert_array_equal(Blur(3.0).apply(flat), flat)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions_differ_and_agree_on_the_whole(photograph, reduction):
    low = reduce(photograph, 4, reduction)
    assert low.shape == (24, 32, 3)
    assert low.mean() == pytest.approx(photograph.mean(), abs=0.5)
    if reduction == "bicubic":
        np.testing.assert_array_equal(low, imresize(photograph, 1 / 4))
    elif reduction == "area":
        boxes = photograph.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(low, boxes, atol=1)
    else:
        assert not np.array_equal(low, reduce(photograph, 4, "area"))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(
    ("noise", "dark", "bright"),
    [({"gaussian": 6.0}, 6, 6), ({"poisson": 8.0}, 4, 8 * (230 / 255) ** 0.5), ({}, 0, 0)],
)
def test_noise_is_as_strong_as_it_says(noise, dark, bright, grey):
    for level, expected in ((64, dark), (230, bright)):
        image = np.full((200, 200, 3), level, np.uint8)
        noisy = Noise(**noise, grey=grey).apply(image, rng()).astype(float)
        # Rounding adds a twelfth of a step squared.
        assert (noisy.std() ** 2 - (expected > 0) / 12) ** 0.5 == pytest.approx(expected, rel=0.03, abs=1e-9)
        assert noisy.mean() == pytest.approx(level, abs=0.2)
        assert np.array_equal(noisy[..., 0], noisy[..., 1]) == (grey or expected == 0)


def grid_steps(image, period, offset):
    """Mean step between neighbouring columns at the block borders, over that elsewhere."""
    steps = np.abs(np.diff(image.astype(float), axis=1)).mean(axis=(0, 2))
    at_border = (np.arange(1, image.shape[1]) + offset) % period == 0
    return steps[at_border].mean() / steps[~at_border].mean()


def test_blocks_lie_where_the_offset_says(photograph):
    strong = Compression(5, subsampled=False)
    for offset in (0, 3):
        image = Compression(strong.quality, subsampled=False, offset=(0, offset)).apply(photograph)
        assert image.shape == photograph.shape
        shown = [grid_steps(image, 8, other) for other in range(8)]
        assert int(np.argmax(shown)) == offset


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_less_quality_is_further_from_the_image(photograph, codec):
    def error(quality, **settings):
        image = Compression(quality, codec=codec, **settings).apply(photograph)
        return np.square(image.astype(float) - photograph).mean()

    assert error(95) < error(60) < error(20)
    if codec == "jpeg":
        assert error(95, subsampled=False) < error(95)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_functions_of_image_and_seed(photograph, name):
    made = PRESETS[name].apply(photograph, 4, rng(1))
    assert made.shape == (24, 32, 3)
    np.testing.assert_array_equal(made, PRESETS[name].apply(photograph, 4, rng(1)))
    assert not np.array_equal(made, Degradation().apply(photograph, 4, rng(1)))


def test_without_steps_it_is_the_bicubic_reduction(photograph):
    np.testing.assert_array_equal(Degradation().apply(photograph, 4, rng()), imresize(photograph, 1 / 4))


def test_the_file_that_a_compression_leaves_holds_the_pixels(photograph, tmp_path):
    chain = Degradation(noise=Noise(gaussian=3), compressions=(Compression(90), Compression(40)))
    assert (chain.leaves_file, chain.suffix) == (True, ".jpg")
    (tmp_path / "a.jpg").write_bytes(chain.encode(photograph, 4, rng()))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), chain.apply(photograph, 4, rng()))
    assert Degradation(compressions=(Compression(80, "webp"),)).suffix == ".webp"


@pytest.mark.parametrize("compressions", [(), (Compression(40, offset=(3, 0)),)])
def test_no_file_is_left_where_none_is_made_or_its_grid_is_shifted(photograph, compressions):
    chain = Degradation(compressions=compressions)
    assert (chain.leaves_file, chain.suffix) == (False, ".png")
    with pytest.raises(ArgumentError, match="a compression without an offset"):
        chain.encode(photograph, 4, rng())
