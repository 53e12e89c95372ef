"""The networks that come with the package, on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import pyvips

from dvmsr import Upscaler
from dvmsr.images import imresize, read_image


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    pixels = imresize(rng.integers(40, 216, (5, 6, 3), np.uint8), output_size=(40, 48))
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    image.jpegsave(str(tmp_path / "photo.jpg"), Q=40)
    image.write_to_file(str(tmp_path / "photo.png"))
    return tmp_path / "photo.jpg"


def enlarged(dvmsr, source, target, *options):
    code, out, err = dvmsr("upscale", source, "-o", target, *options)
    assert code == 0, err
    return out, read_image(target)


def test_auto_is_the_default_and_tells_what_it_chose(dvmsr, photo, tmp_path):
    out, pixels = enlarged(dvmsr, photo, tmp_path / "a.png")
    assert "photo model: JPEG of quality 40" in out
    np.testing.assert_array_equal(pixels, Upscaler(model="photo").upscale(read_image(photo)))
    out, pixels = enlarged(dvmsr, photo.with_suffix(".png"), tmp_path / "b.png")
    assert "clean model: nothing lost" in out
    np.testing.assert_array_equal(pixels, Upscaler().upscale(read_image(photo.with_suffix(".png"))))


def test_model_and_strength(dvmsr, photo, tmp_path):
    results = {
        options: enlarged(dvmsr, photo, tmp_path / f"{number}.png", *options)[1]
        for number, options in enumerate(
            [
                ("--model", "clean"),
                ("--model", "photo"),
                ("--model", "photo", "--strength", "0"),
                ("--model", "photo", "--strength", "0.5"),
            ]
        )
    }
    clean, photo_model, none, half = results.values()
    np.testing.assert_array_equal(clean, none)
    assert not np.array_equal(clean, photo_model)
    assert not np.array_equal(half, photo_model)


def test_report_holds_the_choice(dvmsr, photo, tmp_path):
    dvmsr("upscale", photo, "-o", tmp_path / "a.png", "--report", tmp_path / "report.json")
    entry = json.loads((tmp_path / "report.json").read_text())["files"][0]
    assert entry["choice"] == {"model": "photo", "strength": 1.0, "reason": "JPEG of quality 40"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strength", "0.5"], "--strength is of the photo network: add --model photo"),
        (["--model", "auto", "--strength", "0.5"], "--strength is of the photo network"),
        (["--model", "photo", "--weights", "x.safetensors"], "either --weights or --model"),
        (["--residual", "yes"], "--residual is of a file of weights"),
    ],
)
@pytest.mark.parametrize("command", ["upscale", "evaluate"])
def test_what_does_not_go_together(dvmsr, photo, command, options, message):
    code, _, err = dvmsr(command, photo, *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_evaluate_takes_models(dvmsr, benchmark_set, tmp_path):
    scores = {}
    for name in ("clean", "photo", "auto"):
        file = tmp_path / f"{name}.json"
        lr = tmp_path / name
        code, _, err = dvmsr(
            *(
                "evaluate",
                benchmark_set,
                "--model",
                name,
                "--degrade",
                "jpeg40",
                "--json",
                file,
                "--save-lr",
                lr,
            )
        )
        assert code == 0, err
        scores[name] = json.loads(file.read_text())
        assert sorted(path.name for path in (lr / "Noise").iterdir()) == ["one.jpg", "two.jpg"]
    assert scores["photo"]["weights"] == "photo model"
    psnr = {name: report["datasets"]["Noise"]["psnr_y"] for name, report in scores.items()}
    assert psnr["auto"] == psnr["photo"] != psnr["clean"]
