import json
import math

import numpy as np
import pytest
import pyvips
from PIL import Image

from dvmsr import NetworkConfig, Upscaler
from dvmsr.errors import DatasetError
from dvmsr.evaluation.benchmark import (
    Bicubic,
    Enlargement,
    ImageScore,
    SetScore,
    check_sets,
    make_report,
    score_set,
)
from dvmsr.evaluation.datasets import open_set
from dvmsr.evaluation.metrics import psnr_rgb, psnr_y, ssim_y
from dvmsr.images import imresize


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


def test_bmp(tmp_path):
    """As Set14 is handed on; by its content, as the suffix is none of those that can be written."""
    folder = tmp_path / "Set14"
    for kind, image in (
        ("LR", random_image(10, 10)),
        ("HR", NearestNeighbour().upscale(random_image(10, 10))),
    ):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(image).save(folder / kind / "a.bmp")
        (folder / kind / "Thumbs.db").write_bytes(b"no image")
    check_sets([open_set(folder)], scale=2)
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


def test_low_images_are_made_where_there_are_none(benchmark_folder):
    """Of the second, without the row and the column that make no whole pixel."""
    for path in (benchmark_folder / "LR").iterdir():
        path.unlink()
    (benchmark_folder / "LR").rmdir()
    benchmark = open_set(benchmark_folder, scale=2)
    check_sets([benchmark], scale=2)
    taken = []

    class Recording(NearestNeighbour):
        def upscale(self, image):
            taken.append(image)
            return super().upscale(image)

    score_set(Recording(), benchmark)
    for low, high in zip(
        taken, (random_image(20, 24, seed=2), random_image(19, 17, seed=4)[:18, :16]), strict=True
    ):
        assert np.array_equal(low, imresize(high, 1 / 2))


def test_outputs_are_handed_out(benchmark_folder):
    outputs = {}
    score_set(NearestNeighbour(), open_set(benchmark_folder), on_output=outputs.__setitem__)
    assert list(outputs) == ["a", "b"]
    assert np.array_equal(outputs["b"], NearestNeighbour().upscale(random_image(9, 8, seed=3)))


def test_bicubic_is_imresize():
    image = random_image(5, 6)
    assert np.array_equal(Bicubic(4).upscale(image), imresize(image, 4))


def test_enlargement_is_what_was_asked_for(make_weights):
    upscaler = Upscaler(make_weights(NetworkConfig(scale=2, channels=8, blocks=1)), threads=1)
    image = random_image(5, 6)
    assert Enlargement(upscaler).scale == 2
    expected = upscaler.upscale(image, self_ensemble=True)
    assert np.array_equal(Enlargement(upscaler, self_ensemble=True).upscale(image), expected)
    reduced = Enlargement(upscaler, 3)
    assert reduced.scale == 3
    assert np.array_equal(reduced.upscale(image), upscaler.upscale(image, scale=3))


def test_report_is_json():
    images = (ImageScore("a", 30.0, 0.9, 28.0, 0.5), ImageScore("b", 32.0, 0.8, 29.0, 0.25))
    others = (ImageScore("a", 29.0, 0.5, 27.0, 0.1), ImageScore("b", 30.0, 0.75, 28.0, 0.1))
    report = make_report("weights.safetensors", [SetScore("Set2", images)], [SetScore("Set2", others)])
    report = json.loads(json.dumps(report, allow_nan=False))
    assert (report["weights"], report["self_ensemble"]) == ("weights.safetensors", False)
    scores = report["datasets"]["Set2"]
    each, bicubic = scores.pop("each"), scores.pop("bicubic")
    assert scores == {
        "images": 2,
        "psnr_y": 31.0,
        "ssim_y": pytest.approx(0.85),
        "psnr_rgb": 28.5,
        "seconds": 0.75,
    }
    assert (bicubic["psnr_y"], bicubic["ssim_y"]) == (29.5, 0.625)
    assert list(each) == ["a", "b"]
    assert each["b"] == {
        "psnr_y": 32.0,
        "ssim_y": 0.8,
        "psnr_rgb": 29.0,
        "seconds": 0.25,
        "bicubic": {"psnr_y": 30.0, "ssim_y": 0.75, "psnr_rgb": 28.0, "seconds": 0.1},
    }


def test_report_has_no_infinity():
    scores = [SetScore("Set1", (ImageScore("a", math.inf, 1.0, math.inf, 0.1),))]
    report = make_report("w", scores, scores)
    assert report["datasets"]["Set1"]["psnr_y"] is None
    assert report["datasets"]["Set1"]["psnr_rgb"] is None
    assert report["datasets"]["Set1"]["each"]["a"]["bicubic"]["psnr_y"] is None
