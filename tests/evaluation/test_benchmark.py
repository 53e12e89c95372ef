import json
import math

import numpy as np
import pytest
import pyvips

from dvmsr.errors import DatasetError
from dvmsr.evaluation.benchmark import ImageScore, SetScore, check_sets, make_report, score_set
from dvmsr.evaluation.datasets import open_set
from dvmsr.evaluation.metrics import psnr_rgb, psnr_y, ssim_y


class NearestNeighbour:
    """An upscaler whose output is known."""

    scale = 2

    def upscale(self, image):
        return image.repeat(self.scale, axis=0).repeat(self.scale, axis=1)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    pyvips.Image.new_from_array(image).write_to_file(path)


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def benchmark_folder(tmp_path):
    """Two pairs; the HR image of the second has a row and a column that scale 2 cannot make."""
    folder = tmp_path / "Set2" / "x2"
    write(folder / "LR" / "a.png", random_image(10, 12, seed=1))
    write(folder / "HR" / "a.png", random_image(20, 24, seed=2))
    write(folder / "LR" / "b.png", random_image(9, 8, seed=3))
    write(folder / "HR" / "b.png", random_image(19, 17, seed=4))
    return folder


def test_scores_each_image_and_their_mean(benchmark_folder):
    seen = []
    score = score_set(NearestNeighbour(), open_set(benchmark_folder), on_image=seen.append)
    assert score.name == "Set2"
    assert score.images == tuple(seen)
    assert [image.name for image in seen] == ["a", "b"]

    upscale = NearestNeighbour().upscale
    pairs = [
        (upscale(random_image(10, 12, seed=1)), random_image(20, 24, seed=2)),
        (upscale(random_image(9, 8, seed=3)), random_image(19, 17, seed=4)[:18, :16]),
    ]
    for name, metric in (("psnr_y", psnr_y), ("ssim_y", ssim_y), ("psnr_rgb", psnr_rgb)):
        expected = [metric(output, target, border=2) for output, target in pairs]
        assert [getattr(image, name) for image in seen] == expected
        assert getattr(score, name) == pytest.approx(np.mean(expected))


def test_grey_images(tmp_path):
    folder = tmp_path / "Grey"
    write(folder / "LR" / "a.png", random_image(10, 10)[..., 0])
    write(folder / "HR" / "a.png", NearestNeighbour().upscale(random_image(10, 10)[..., 0]))
    assert score_set(NearestNeighbour(), open_set(folder)).psnr_rgb == math.inf


def test_seconds_are_of_upscaling(benchmark_folder, monkeypatch):
    ticks = iter([10.0, 10.5, 20.0, 22.0])
    monkeypatch.setattr("dvmsr.evaluation.benchmark.time.perf_counter", lambda: next(ticks))
    score = score_set(NearestNeighbour(), open_set(benchmark_folder))
    assert [image.seconds for image in score.images] == [0.5, 2.0]
    assert score.seconds == 2.5


@pytest.mark.parametrize(("height", "width"), [(22, 24), (20, 26), (19, 24), (20, 23)])
def test_sizes_that_do_not_fit_the_scale(benchmark_folder, height, width):
    write(benchmark_folder / "HR" / "a.png", random_image(height, width))
    with pytest.raises(
        DatasetError, match=rf"HR/a\.png: {width}x{height} pixels, but scale 2 of 12x10 in LR is 24x20"
    ):
        score_set(NearestNeighbour(), open_set(benchmark_folder))
    with pytest.raises(DatasetError, match=rf"HR/a\.png: {width}x{height} pixels, but scale 2"):
        check_sets([open_set(benchmark_folder)], scale=2)


def test_sets_that_fit(benchmark_folder):
    check_sets([open_set(benchmark_folder)], scale=2)


def test_too_small_to_score(benchmark_folder):
    write(benchmark_folder / "LR" / "a.png", random_image(7, 20))
    write(benchmark_folder / "HR" / "a.png", random_image(14, 40))
    with pytest.raises(DatasetError, match=r"a\.png: 40x14 pixels are too few .* expected from 15"):
        score_set(NearestNeighbour(), open_set(benchmark_folder))


def test_16_bit_images(benchmark_folder):
    write(benchmark_folder / "LR" / "b.png", random_image(9, 8).astype(np.uint16) * 257)
    with pytest.raises(DatasetError, match=r"LR/b\.png: .* 8 bit images, this one is uint16"):
        score_set(NearestNeighbour(), open_set(benchmark_folder))
    with pytest.raises(DatasetError, match=r"LR/b\.png: .* this one is uint16"):
        check_sets([open_set(benchmark_folder)], scale=2)


def test_report_is_json():
    images = (ImageScore("a", 30.0, 0.9, 28.0, 0.5), ImageScore("b", 32.0, 0.8, 29.0, 0.25))
    report = make_report("weights.safetensors", [SetScore("Set2", images)])
    assert json.loads(json.dumps(report, allow_nan=False)) == {
        "weights": "weights.safetensors",
        "datasets": {
            "Set2": {
                "images": 2,
                "psnr_y": 31.0,
                "ssim_y": pytest.approx(0.85),
                "psnr_rgb": 28.5,
                "seconds": 0.75,
            }
        },
    }


def test_report_has_no_infinity():
    report = make_report("w", [SetScore("Set1", (ImageScore("a", math.inf, 1.0, math.inf, 0.1),))])
    assert report["datasets"]["Set1"]["psnr_y"] is None
    assert report["datasets"]["Set1"]["psnr_rgb"] is None
