import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dvmsr.errors import ArgumentError
from dvmsr.evaluation.metrics import psnr_rgb, psnr_y, ssim_y


def noisy_pair(height, width, noise=20, seed=0):
    """A random image with structure, and itself with noise."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    target = np.clip(ramp + rng.normal(0, 40, ramp.shape), 0, 255).astype(np.uint8)
    output = np.clip(target + rng.normal(0, noise, ramp.shape), 0, 255).astype(np.uint8)
    return output, target


def cut(image, border):
    return image[border : image.shape[0] - border, border : image.shape[1] - border]


@pytest.mark.parametrize(("height", "width"), [(19, 19), (32, 47), (101, 20)])
@pytest.mark.parametrize("border", [0, 4])
def test_agree_with_scikit_image(height, width, border):
    output, target = noisy_pair(height, width)
    luma = [cut(rgb2ycbcr(image)[..., 0], border) for image in (output, target)]
    assert psnr_y(output, target, border) == pytest.approx(peak_signal_noise_ratio(*luma, data_range=255))
    assert psnr_rgb(output, target, border) == pytest.approx(
        peak_signal_noise_ratio(cut(output, border), cut(target, border))
    )
    # truncate = 3.5 standard deviations, scikit-image's default, gives 11 taps at 1.5; its valid region is
    # what remains 5 pixels from the edge.
    _, similarity = structural_similarity(
        *luma, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim_y(output, target, border) == pytest.approx(cut(similarity, 5).mean(), abs=1e-12)


def test_luma_spans_16_to_235_unrounded():
    black, white, red = (np.full((12, 12, 3), colour, np.uint8) for colour in ([0] * 3, [255] * 3, [1, 0, 0]))
    assert psnr_y(black, white, 0) == pytest.approx(20 * math.log10(255 / 219))
    assert psnr_y(black, red, 0) == pytest.approx(20 * math.log10(255 / (65.481 / 255)))


def test_psnr_of_a_known_error():
    target = np.full((20, 30, 3), 100, np.uint8)
    assert psnr_rgb(target + 5, target, 4) == pytest.approx(20 * math.log10(255 / 5))


def test_equal_images():
    image, _ = noisy_pair(24, 24)
    assert psnr_y(image, image, 4) == math.inf
    assert psnr_rgb(image, image, 4) == math.inf
    assert ssim_y(image, image, 4) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", [psnr_y, psnr_rgb, ssim_y])
def test_border_does_not_count(metric):
    output, target = noisy_pair(30, 40)
    spoilt = output.copy()
    spoilt[:4] = spoilt[-4:] = 0
    spoilt[:, :4] = spoilt[:, -4:] = 255
    assert metric(spoilt, target, 4) == metric(output, target, 4)
    assert metric(spoilt, target, 3) != metric(output, target, 3)


@pytest.mark.parametrize("metric", [psnr_y, psnr_rgb, ssim_y])
@pytest.mark.parametrize(
    ("output", "target", "border", "message"),
    [
        (np.zeros((20, 20, 3)), np.zeros((20, 20, 3)), 0, "uint8 images, got .* float64"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8), 0, r"got \(20, 20\)"),
        (np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8), 0, r"got \(20, 20, 4\)"),
        (
            np.zeros((20, 20, 3), np.uint8),
            np.zeros((20, 21, 3), np.uint8),
            0,
            r"\(20, 20, 3\) and \(20, 21, 3\)",
        ),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.uint8), -1, "border .* got -1"),
        (np.zeros((8, 20, 3), np.uint8), np.zeros((8, 20, 3), np.uint8), 4, "20x8 image less 4 pixels"),
    ],
)
def test_unfit_images(metric, output, target, border, message):
    with pytest.raises(ArgumentError, match=message):
        metric(output, target, border)


def test_ssim_needs_a_whole_window():
    image = np.zeros((18, 40, 3), np.uint8)
    with pytest.raises(ArgumentError, match="below 11x11"):
        ssim_y(image, image, 4)
