from __future__ import annotations

import numpy as np
import pytest

from dvmsr import NetworkConfig, Upscaler
from dvmsr.errors import ArgumentError
from dvmsr.images import imresize
from dvmsr.inference.sized import SizedUpscaler, network_of_size, pass_sizes

SOURCE = (15, 22)


@pytest.fixture(scope="module")
def upscaler(make_weights):
    return Upscaler(make_weights(NetworkConfig(scale=2, channels=16, blocks=1, vimms_per_block=1)), threads=1)


def noise(dtype=np.uint8):
    width, height = SOURCE
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def enlarge(upscaler, image, target, rows=5):
    blocks = (image[top : top + rows] for top in range(0, len(image), rows))
    return np.concatenate(list(SizedUpscaler(upscaler, SOURCE, target).stream(blocks, SOURCE[0])))


def by_whole_images(upscaler, image, *targets):
    """One pass of the network, or a reduction, after the other on the whole image, in float."""
    most = np.iinfo(image.dtype).max
    pixels = image.astype(np.float32) / np.float32(most)
    for width, height in targets:
        if (height, width) == (2 * pixels.shape[0], 2 * pixels.shape[1]):
            pixels = upscaler.upscale(pixels)
        else:
            pixels = imresize(pixels, output_size=(height, width))
    return np.clip(np.rint(pixels * most), 0, most).astype(image.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ((27, 40), [(30, 44), (27, 40)]),  # one pass, then smaller
        ((60, 88), [(30, 44), (60, 88)]),  # two passes
        (
            (40, 59),
            [(30, 44), (20, 30), (40, 60), (40, 59)],
        ),  # reduced between and after them
        ((12, 18), [(12, 18)]),  # smaller than the source
        ((120, 176), [(30, 44), (60, 88), (120, 176)]),
    ],
)
def test_equals_whole_images_one_after_the_other(upscaler, dtype, target, steps):
    image = noise(dtype)
    expected = by_whole_images(upscaler, image, *steps).astype(int)
    result = enlarge(upscaler, image, target)
    assert (result.shape, result.dtype) == ((target[1], target[0], 3), dtype)
    # Sums in another order.
    assert np.abs(result - expected).max() <= (1 if dtype == np.uint8 else 4)


def test_the_network_s_own_size_is_its_own_output(upscaler):
    image = noise()
    assert np.array_equal(enlarge(upscaler, image, (30, 44)), upscaler.upscale(image))


def test_same_however_it_is_cut(upscaler):
    results = [enlarge(upscaler, noise(), (40, 59), rows).astype(int) for rows in (1, 22)]
    assert np.abs(results[0] - results[1]).max() <= 1


def test_passes():
    assert pass_sizes((100, 50), (400, 200), 4) == [(100, 50)]
    assert pass_sizes((100, 50), (250, 125), 4) == [(100, 50)]
    assert pass_sizes((100, 50), (800, 400), 4) == [(100, 50), (200, 100)]
    assert pass_sizes((100, 50), (1600, 800), 4) == [(100, 50), (400, 200)]
    assert pass_sizes((100, 50), (100, 50), 4) == []
    assert pass_sizes((100, 50), (1600, 800), 2) == [(100, 50), (200, 100), (400, 200), (800, 400)]
    # Of a frame that is met exactly, the other side is rounded.
    assert pass_sizes((3, 1000), (12, 4001), 4) == [(3, 1000), (3, 1001)]


@pytest.mark.parametrize(
    ("target", "scale"), [((16, 23), 2), ((30, 44), 2), ((31, 44), 4), ((60, 88), 4), ((120, 176), 4)]
)
@pytest.mark.parametrize("given", [2, 4])
def test_the_shipped_network_that_fits(target, scale, given):
    chosen = network_of_size(Upscaler(threads=1, scale=given), SOURCE, target)
    assert (chosen.scale, chosen.threads) == (scale, 1)


def test_other_networks_have_one_scale(upscaler):
    assert network_of_size(upscaler, SOURCE, (60, 88)) is upscaler
    photo = Upscaler(model="photo", threads=1)
    assert network_of_size(photo, SOURCE, (30, 44)) is photo


@pytest.mark.parametrize("model", ["clean", "auto"])
def test_a_shipped_scale_is_that_network_s_own_output(model):
    image = noise()
    expected = Upscaler(threads=1, scale=2).upscale(image)
    assert expected.shape == (44, 30, 3)
    assert np.array_equal(Upscaler(threads=1, model=model).upscale(image, scale=2), expected)


def test_another_height_than_said(upscaler):
    with pytest.raises(ArgumentError, match=r"^blocks must have 44 rows in all, got 42$"):
        list(SizedUpscaler(upscaler, SOURCE, (20, 30)).stream([noise()[1:]], SOURCE[0]))


def test_upscaler_s_own_sizes(upscaler):
    image = noise()
    told = []
    result = upscaler.upscale(image, scale=4, progress=lambda done, all_: told.append((done, all_)))
    assert np.array_equal(result, enlarge(upscaler, image, (60, 88), rows=22))
    assert told[-1] == (15 * 22, 15 * 22)
    assert upscaler.upscale(image, size="20x").shape == (29, 20, 3)
    assert np.array_equal(upscaler.upscale(image, scale=2), upscaler.upscale(image))
    assert upscaler.upscale(image[..., 0], scale=1.5).shape == (33, 23)
    with pytest.raises(ArgumentError, match="either a scale or a size"):
        upscaler.upscale(image, scale=2, size="20x")


def test_self_ensemble_of_another_size(upscaler):
    image = noise()
    expected = imresize(upscaler.upscale(image / np.float32(255), self_ensemble=True), output_size=(33, 23))
    result = upscaler.upscale(image, scale=1.5, self_ensemble=True)
    assert np.abs(result - np.clip(255 * expected, 0, 255)).max() < 0.6
    with pytest.raises(ArgumentError, match="a self-ensemble enlarges up to 2 times"):
        upscaler.upscale(image, scale=3, self_ensemble=True)
