from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dvmsr import Upscaler
from dvmsr.degradations import PRESETS
from dvmsr.images import imresize, read_image


def test_table_and_json_file(dvmsr, network, benchmark_set, tmp_path):
    code, out, err = dvmsr("evaluate", benchmark_set, *network, "--json", tmp_path / "scores.json")
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["weights"] == network[1]
    scores = report["datasets"]["Noise"]
    assert scores["images"] == 2
    assert list(scores["each"]) == ["one", "two"]
    lines = iter(out.splitlines())
    first = next(line for line in lines if "Noise" in line)
    for line, by, shown in (
        (first, ["Noise", "2", "bicubic"], scores["bicubic"]),
        (next(lines), ["", "", "network"], scores),
    ):
        cells = [cell.strip() for cell in re.split("[│|]", line)[1:-1]]
        numbers = [f"{shown['psnr_y']:.3f}", f"{shown['ssim_y']:.4f}", f"{shown['psnr_rgb']:.3f}"]
        assert cells[:6] == by + numbers


def test_outputs_are_saved(dvmsr, network, benchmark_set, tmp_path):
    target = tmp_path / "out"
    code, _, _ = dvmsr("evaluate", benchmark_set, *network, "--save", target)
    assert code == 0
    assert sorted(path.name for path in (target / "Noise").iterdir()) == ["one_x4.png", "two_x4.png"]
    low = read_image(benchmark_set / "LR" / "one.png")
    expected = Upscaler(network[1], threads=1).upscale(low)
    assert np.array_equal(read_image(target / "Noise" / "one_x4.png"), expected)
    code, out, err = dvmsr("evaluate", benchmark_set, *network, "--save", target)
    assert (code, out) == (2, "")
    assert "one_x4.png: exists already; save into another folder" in err


def test_self_ensemble(dvmsr, network, benchmark_set, tmp_path):
    code, out, _ = dvmsr(
        "evaluate", benchmark_set, *network, "--self-ensemble", "--save", tmp_path, "--json", tmp_path / "a"
    )
    assert code == 0
    assert "ensemble" in out
    assert json.loads((tmp_path / "a").read_text())["self_ensemble"] is True
    low = read_image(benchmark_set / "LR" / "two.png")
    expected = Upscaler(network[1], threads=1).upscale(low, self_ensemble=True)
    assert np.array_equal(read_image(tmp_path / "Noise" / "two_x4.png"), expected)


def test_low_images_that_are_made_are_told(dvmsr, network, benchmark_set):
    shutil.rmtree(benchmark_set / "LR")
    code, out, err = dvmsr("evaluate", benchmark_set, *network)
    assert (code, err) == (0, "Noise: no LR images, made from HR by bicubic reduction\n")
    assert "bicubic" in out


def test_shipped_network_of_another_scale(dvmsr, benchmark_set, tmp_path):
    shutil.rmtree(benchmark_set / "LR")
    code, _, err = dvmsr(
        "evaluate", benchmark_set, "--scale", "2", "--save", tmp_path, "--json", tmp_path / "a"
    )
    assert (code, err) == (0, "Noise: no LR images, made from HR by bicubic reduction\n")
    assert json.loads((tmp_path / "a").read_text())["weights"] == "dvmsr_x2.safetensors"
    low = imresize(read_image(benchmark_set / "HR" / "one.png"), 1 / 2)
    expected = Upscaler(scale=2, threads=1).upscale(low)
    assert np.array_equal(read_image(tmp_path / "Noise" / "one_x2.png"), expected)


def test_scale_without_weights_of_its_own(dvmsr, network, benchmark_set, tmp_path):
    """As ``dvmsr upscale --scale`` makes it: a reduction of what the network makes."""
    shutil.rmtree(benchmark_set / "LR")
    code, _, _ = dvmsr("evaluate", benchmark_set, *network, "--scale", "3", "--save", tmp_path)
    assert code == 0
    high = read_image(benchmark_set / "HR" / "one.png")
    low = imresize(high[: len(high) // 3 * 3, : high.shape[1] // 3 * 3], 1 / 3)
    expected = Upscaler(network[1], threads=1).upscale(low, scale=3)
    assert np.array_equal(read_image(tmp_path / "Noise" / "one_x3.png"), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scale", "17"), "expected a whole number from 2 to 16, got 17"),
        (("--scale", "4", "--network", "math:sqrt"), "--network is scored as it is"),
    ],
)
def test_scales_that_are_not_to_be_had(dvmsr, benchmark_set, options, message):
    code, out, err = dvmsr("evaluate", benchmark_set, *options)
    assert (code, out) == (2, "")
    assert message in err


def test_json_has_standard_output_for_itself(dvmsr, network, benchmark_set):
    code, out, err = dvmsr("evaluate", benchmark_set, *network, "--json", "-")
    assert code == 0
    assert json.loads(out)["datasets"]["Noise"]["images"] == 2
    assert "PSNR-Y" in err


def test_folder_that_is_no_set(dvmsr, network, tmp_path):
    code, out, err = dvmsr("evaluate", tmp_path, *network)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)


def test_json_target_is_checked_before_the_work(dvmsr, benchmark_set, tmp_path):
    # With weights that are missing, reading them would be the first thing to fail.
    missing = ("--weights", tmp_path / "none.safetensors")
    code, _, err = dvmsr("evaluate", benchmark_set, *missing, "--json", tmp_path / "none" / "scores.json")
    assert code == 2
    assert "scores.json: cannot be written" in err


def test_sizes_of_all_sets_are_checked_before_the_work(dvmsr, network, benchmark_set, tmp_path, monkeypatch):
    monkeypatch.setattr("dvmsr.inference.upscaler.Upscaler.upscale", lambda *_: pytest.fail("work began"))
    other = tmp_path / "Other"
    for kind in ("HR", "LR"):
        (other / kind).mkdir(parents=True)
        (other / kind / "one.png").write_bytes((benchmark_set / "HR" / "one.png").read_bytes())
    code, out, err = dvmsr("evaluate", benchmark_set, other, *network)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"dvmsr: error: [^\n]+one\.png: 48x64 pixels, but scale 4 of [^\n]+\n", err)


def test_images_are_counted_on_a_terminal(network, benchmark_set):
    terminal, child = pty.openpty()
    program = "from dvmsr.cli import main; main()"
    command = [sys.executable, "-c", program, "evaluate", str(benchmark_set), *network, "--json", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=child)
    os.close(child)
    shown = b""
    # Reading from a terminal whose other end is closed is an error on Linux.
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    assert json.loads(process.communicate(timeout=30)[0])["datasets"]["Noise"]["images"] == 2
    assert process.returncode == 0
    assert b"[1/1] Noise: 2 of 2 images" in shown


def test_degraded_inputs_are_made_the_same_each_time_and_kept(dvmsr, network, benchmark_set, tmp_path):
    """From the HR images, whatever LR images there are."""
    scores = []
    for name in ("a", "b"):
        options = ("--degrade", "jpeg40", "--save-lr", tmp_path / name, "--json", tmp_path / f"{name}.json")
        code, _, err = dvmsr("evaluate", benchmark_set, *network, *options)
        assert (code, err) == (0, "")
        report = json.loads((tmp_path / f"{name}.json").read_text())
        assert report["degradation"] == "jpeg40"
        scores.append({key: report["datasets"]["Noise"][key] for key in ("psnr_y", "ssim_y", "psnr_rgb")})
        shutil.rmtree(benchmark_set / "LR", ignore_errors=True)
    assert scores[0] == scores[1]
    for image in ("one", "two"):
        low = read_image(tmp_path / "a" / "Noise" / f"{image}.jpg")
        assert np.array_equal(low, read_image(tmp_path / "b" / "Noise" / f"{image}.jpg"))
        high = read_image(benchmark_set / "HR" / f"{image}.png")
        high = high[: 4 * len(low), : 4 * low.shape[1]]
        expected = PRESETS["jpeg40"].apply(high, 4, np.random.default_rng(0))
        assert np.array_equal(low, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--degrade", "jpeg41"),
            "--degrade must be one of jpeg40, jpeg60, jpeg80, noise10, phone, got jpeg41",
        ),
        (("--save-lr", "lows"), "--save-lr keeps the LR images that --degrade makes: name a degradation"),
    ],
)
def test_degradations_that_are_none(dvmsr, network, benchmark_set, options, message):
    code, out, err = dvmsr("evaluate", benchmark_set, *network, *options)
    assert (code, out, err) == (2, "", f"dvmsr: error: {message}\n")
