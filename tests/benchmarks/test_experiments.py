"""The script behind the tables in docs/experiments, on tiny runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvmsr.images import imresize

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
SMALL = ("network.channels=8", "network.blocks=1", "network.vimms_per_block=1", "network.state_size=4")
QUICK = ("data.patch=8", "run.batch=2", "machine.threads=1")


@pytest.fixture
def experiments(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import experiments

    yield experiments
    del sys.modules["experiments"]


@pytest.fixture
def arguments(tmp_path):
    high = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    for kind, image in (("HR", high), ("LR", imresize(high, 1 / 4))):
        (tmp_path / "Tiny" / kind).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "Tiny" / kind / "one.png")
    folders = ["--hr", tmp_path / "Tiny" / "HR", "--validate", tmp_path / "Tiny"]
    results = ["--runs", tmp_path / "runs", "--output", tmp_path / "tables", "--steps", 2]
    settings = [f"--set={setting}" for setting in (*SMALL, *QUICK)]
    return [str(part) for part in (*folders, *results, *settings)]


@pytest.mark.usefixtures("one_torch_thread")
def test_a_table_comes_out_and_nothing_is_done_twice(experiments, arguments, tmp_path, capsys, monkeypatch):
    experiments.main(["residual", *arguments])
    page = (tmp_path / "tables" / "residual.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    report = json.loads((tmp_path / "tables" / "residual.json").read_text())
    assert [(row["variant"], row["seed"]) for row in report["rows"]] == [
        ("without", 0),
        ("without", 1),
        ("with", 0),
        ("with", 1),
    ]
    scores = [row["psnr_y"]["Tiny"] for row in report["rows"]]
    assert len(set(scores)) == 4
    middle, half = (scores[0] + scores[1]) / 2, abs(scores[0] - scores[1]) / 2
    assert f"| without | {report['rows'][0]['parameters']:,} | {middle:.3f} ± {half:.3f} |" in page
    assert "2 steps of 2 patches of 8x8 LR pixels from 1 photographs" in page

    monkeypatch.setattr("dvmsr.training.run._fit", lambda *_: pytest.fail("trained again"))
    with pytest.raises(SystemExit, match=r"residual\.json and .*residual\.md: stored already"):
        experiments.main(["residual", *arguments])
    (tmp_path / "tables" / "residual.md").write_text("of before")
    experiments.main(["residual", *arguments, "--overwrite"])
    assert json.loads((tmp_path / "tables" / "residual.json").read_text()) == report
    assert (tmp_path / "tables" / "residual.md").read_text(encoding="utf-8") == page


def test_a_teacher_is_asked_for(experiments, arguments):
    with pytest.raises(SystemExit, match="needs a teacher"):
        experiments.main(["distillation", *arguments])


def test_every_variant_is_a_valid_configuration(experiments):
    common = {"data": {"hr": ["photographs"]}}
    for experiment in experiments.EXPERIMENTS.values():
        configs = [
            experiments.make_run(common, variant, 0, [Path("a"), Path("b")])
            for variant in experiment.variants
        ]
        assert len({repr(config) for config in configs}) == len(configs) > 1
