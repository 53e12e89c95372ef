from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest


def test_table_and_json_file(dvmsr, network, benchmark_set, tmp_path):
    code, out, err = dvmsr("evaluate", benchmark_set, *network, "--json", tmp_path / "scores.json")
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["weights"] == network[1]
    scores = report["datasets"]["Noise"]
    assert set(scores) == {"images", "psnr_y", "ssim_y", "psnr_rgb", "seconds"}
    assert scores["images"] == 2
    row = next(line for line in out.splitlines() if "Noise" in line)
    shown = [cell.strip() for cell in re.split("[│|]", row)[1:-1]]
    assert shown[:5] == [
        "Noise",
        "2",
        f"{scores['psnr_y']:.3f}",
        f"{scores['ssim_y']:.4f}",
        f"{scores['psnr_rgb']:.3f}",
    ]


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
