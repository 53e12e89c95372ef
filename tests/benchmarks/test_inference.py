"""The script behind ``make bench``, run on a tiny image, and the choice of what it measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import inference
import workers
from networks import VARIANTS, Case, Variant, torch_runner
from rows import Row, read_report

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inference.py"


def test_measures_and_writes(tmp_path):
    output = tmp_path / "results" / "tiny.json"
    options = ["--threads", "1", "--sides", "16", "--repeats", "2", "--no-compile", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    report, rows = read_report(output)
    assert set(report) == {"date", "machine", "load_before"}
    assert {"processor", "cores", "instruction_set", "priority", "torch", "dvmsr"} <= set(report["machine"])
    measured = [Variant(row.network, row.form, row.precision) for row in rows]
    assert measured == [variant for variant in VARIANTS if variant.form != "compiled"]
    for row in rows:
        assert (row.threads, row.height, row.width, row.repeats) == (1, 16, 16, 2)
        assert row.seconds > 0
        assert row.peak_mib >= row.base_mib
        assert row.network in done.stdout
    peaks = {row.network: row.peak_mib for row in rows}
    # The engine's process loads no PyTorch; if it did, it would need as much as the others.
    assert 10 < peaks["dvmsr-engine"] < peaks["rlfn-torch"] - 50


@pytest.mark.usefixtures("one_torch_thread")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_every_form_computes_the_same(monkeypatch):
    """On two layers: to compile all of RLFN takes half a minute."""
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.LeakyReLU())
    outputs = {}
    for variant in VARIANTS:
        if variant.network == "rlfn-torch":
            case = Case(**asdict(variant), threads=1, height=16, width=20)
            outputs[variant.form, variant.precision] = torch_runner(network, case, 1.0)()
    assert len(outputs) == 6
    want = outputs["contiguous", "fp32"]
    for (_, precision), output in outputs.items():
        assert output.dtype == (torch.float32 if precision == "fp32" else torch.bfloat16)
        assert (output.float() - want).norm() <= (1e-6 if precision == "fp32" else 0.01) * want.norm()


@pytest.mark.parametrize("height", [1, 16, 40])
def test_blocks_are_the_rows_of_an_image(height):
    case = Case("dvmsr-engine", "stream", "fp32", threads=1, height=height, width=3)
    blocks = list(case.blocks())
    assert sum(map(len, blocks)) == height
    assert all(block.shape[1:] == (3, 3) for block in blocks)


def row(network, form, precision, seconds, threads=2, side=256):
    return Row(network, form, precision, threads, side, side, 1, seconds, 1.0, 2.0)


def test_the_fastest_forms_go_on_to_other_sides():
    rows = [
        row("dvmsr-engine", "image", "fp32", 1.0),
        row("dvmsr-engine", "stream", "fp32", 2.0),
        row("dvmsr-engine", "stream", "bf16", 2.0),
        row("dvmsr-torch", "channels_last", "fp32", 9.0),
        row("rlfn-torch", "contiguous", "fp32", 0.1, threads=1),
        row("rlfn-torch", "contiguous", "fp32", 4.0),
        row("rlfn-torch", "channels_last", "fp32", 3.0),
        row("rlfn-torch", "channels_last", "bf16", 3.0),
        row("rlfn-torch", "compiled", "bf16", 2.0),
    ]
    assert inference.best_variants(rows) == [
        Variant("dvmsr-engine", "stream", "fp32"),
        Variant("dvmsr-engine", "stream", "bf16"),
        Variant("dvmsr-torch", "channels_last", "fp32"),
        Variant("rlfn-torch", "channels_last", "fp32"),
        Variant("rlfn-torch", "compiled", "bf16"),
    ]


def test_what_does_not_fit_into_memory_is_left_out(monkeypatch, capsys):
    sizes = {"SC_PHYS_PAGES": 4 * 2**30 // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)

    def networks(side):
        return {case.network for case in inference.choose(side, (1, 2), VARIANTS, full=False)}

    assert networks(512) == {"dvmsr-engine", "dvmsr-torch", "rlfn-torch"}
    assert networks(1024) == {"dvmsr-engine", "rlfn-torch"}
    assert capsys.readouterr().out == "dvmsr-torch has too little memory here for 1024x1024\n"


@pytest.mark.parametrize(
    ("side", "full", "with_one"),
    [
        (512, True, {"dvmsr-engine", "dvmsr-torch", "rlfn-torch"}),
        (64, False, {"dvmsr-engine"}),
        (512, False, set()),
    ],
)
def test_what_runs_with_one_thread(side, full, with_one):
    cases = inference.choose(side, (1, 2), VARIANTS, full=full)
    assert {case.network for case in cases if case.threads == 1} == with_one
    assert [case for case in cases if case.threads == 2] == [
        Case(**asdict(variant), threads=2, height=side, width=side) for variant in VARIANTS
    ]


def test_a_report_tells_of_the_machine(tmp_path):
    path = tmp_path / "new" / "report.json"
    workers.write_report(path, load_before=0.5, answer=42)
    report = json.loads(path.read_text())
    assert (report["load_before"], report["answer"]) == (0.5, 42)
    assert report["machine"]["priority"] in ("normal", "real-time")
    assert report["machine"]["cores"] >= 1
