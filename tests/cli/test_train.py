"""The commands that train, end to end on a tiny set."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from dvmsr import Upscaler
from dvmsr.weights import load_weights

SMALL = (
    "--set=network.channels=8",
    "--set=network.blocks=1",
    "--set=network.vimms_per_block=1",
    "--set=network.state_size=4",
)
QUICK = ("--steps", "4", "--batch", "2", "--set=data.patch=8", "--set=machine.threads=1")


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (40, 36, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread):
    pass


def test_train_distill_and_finetune(dvmsr, photographs, tmp_path):
    """Each goes on with what the one before made."""
    trained, distilled, tuned = (tmp_path / "runs" / name for name in ("trained", "distilled", "tuned"))
    commands = [
        ("train", photographs, "--output", trained, *QUICK, *SMALL),
        (
            "distill",
            photographs,
            "--output",
            distilled,
            "--teacher",
            trained / "weights.safetensors",
            "--self-ensemble",
            *QUICK,
            *SMALL,
        ),
        ("finetune", photographs, "--output", tuned, "--weights", distilled / "weights.safetensors", *QUICK),
    ]
    for command in commands:
        code, out, err = dvmsr(*command)
        run = command[3]
        assert (code, out) == (0, f"{run / 'weights.safetensors'}\n"), err
        lines = ["2 photographs"]
        if command[0] == "distill":
            lines.append("teacher's outputs: 2 of 2, 0:00:00 left")
        assert err.splitlines() == lines
        assert Upscaler(run / "weights.safetensors", threads=1).config.channels == 8
    config = (distilled / "config.toml").read_text()
    assert "self_ensemble = true" in config

    code, out, err = dvmsr("train", "--output", trained, "--export", tmp_path / "exported.safetensors")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'exported.safetensors'}: weights after 4 steps\n"
    exported = load_weights(tmp_path / "exported.safetensors").parameters
    for name, value in load_weights(trained / "weights.safetensors").parameters.items():
        np.testing.assert_array_equal(exported[name], value)

    code, out, err = dvmsr("train", "--output", trained, "--resume")
    assert (code, out, err) == (0, f"{trained / 'weights.safetensors'}\n", "")
    code, _, err = dvmsr("train", "--output", trained, "--resume", "--batch", "4")
    assert code == 2
    assert err.endswith("cannot go on with another configuration: run.batch is 4, was 2\n")


def test_finetune_begins_with_the_weights_of_the_recipe(dvmsr, photographs, network, tmp_path):
    """Or of --set; without any, with the shipped ones."""
    run, recipe = tmp_path / "run", tmp_path / "recipe.toml"
    recipe.write_text(f"[run]\ninitial_weights = '{network[1]}'\n")
    code, _, err = dvmsr("finetune", photographs, "--output", run, "--recipe", recipe, *QUICK)
    assert code == 0, err
    config = (run / "config.toml").read_text()
    assert f'initial_weights = "{network[1]}"' in config
    assert "channels = 16" in config
    code, _, err = dvmsr("finetune", "--output", run, "--resume", *network)
    assert (code, err) == (
        2,
        "dvmsr: error: --resume goes on with the run's own weights: leave out --weights\n",
    )
    missing = f"--set=run.initial_weights={tmp_path / 'none'}"
    code, _, err = dvmsr("finetune", photographs, "--output", tmp_path / "other", missing)
    assert code == 2
    assert f"{tmp_path / 'none'}: cannot read weights" in err


def test_a_run_of_relative_paths_is_resumed_from_elsewhere(dvmsr, photographs, tmp_path, monkeypatch):
    (tmp_path / "recipe.toml").write_text(f"[data]\nhr = ['{photographs.name}']\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    code, _, err = dvmsr(
        "train", "--output", "run", "--recipe", "recipe.toml", "--set=machine.cache=kept", *QUICK, *SMALL
    )
    assert code == 0, err
    assert f'cache = "{tmp_path / "kept"}"' in (tmp_path / "run" / "config.toml").read_text()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = dvmsr("train", "--output", tmp_path / "run", "--resume")
    assert (code, err) == (0, "")


def bad_commands(photographs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "recipe.toml").write_text("[run]\nstepz = 3\n")
    run = ("--output", tmp_path / "run")
    return {
        "no photographs": (("train", *run), "no photographs to train on"),
        "missing folder": (("train", tmp_path / "none", *run), "expected a folder of images"),
        "empty folder": (("train", tmp_path / "empty", *run), "no images in it"),
        "small images": (("train", photographs, *run, *SMALL, "--set=data.patch=20"), "smaller than a patch"),
        "unknown key": (("train", photographs, *run, "--recipe", tmp_path / "recipe.toml"), "run.stepz"),
        "missing recipe": (
            ("train", photographs, *run, "--recipe", tmp_path / "none"),
            "cannot read the recipe",
        ),
        "no teacher": (("distill", photographs, *run), "needs a teacher"),
        "missing teacher": (
            ("distill", photographs, *run, "--teacher", tmp_path / "none"),
            "cannot read weights",
        ),
        "missing weights": (
            ("finetune", photographs, *run, "--weights", tmp_path / "none"),
            "cannot read weights",
        ),
        "missing set": (("train", photographs, *run, "--validate", tmp_path / "none"), "no folder HR"),
        "nothing to resume": (("train", *run, "--resume"), "holds no run"),
        "nothing to export": (("train", *run, "--export", tmp_path / "w.safetensors"), "holds no run"),
        "run is a file": (("train", photographs, "--output", tmp_path / "recipe.toml"), "cannot be written"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "no photographs",
        "missing folder",
        "empty folder",
        "small images",
        "unknown key",
        "missing recipe",
        "no teacher",
        "missing teacher",
        "missing weights",
        "missing set",
        "nothing to resume",
        "nothing to export",
        "run is a file",
    ],
)
def test_bad_input_gets_one_line(dvmsr, photographs, tmp_path, case):
    command, message = bad_commands(photographs, tmp_path)[case]
    code, out, err = dvmsr(*command)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)
    assert message in err


def test_network_other_than_the_weights(dvmsr, photographs, network, tmp_path):
    code, _, err = dvmsr(
        "finetune", photographs, "--output", tmp_path / "run", *network, "--set=network.channels=9"
    )
    assert code == 2
    assert "network.channels is 16 in " in err


def test_network_of_another_scale_than_the_weights(dvmsr, photographs, network, tmp_path):
    options = ("--output", tmp_path / "run", *network, *QUICK, "--set=network.scale=2")
    code, _, err = dvmsr("finetune", photographs, *options)
    assert code == 0, err
    assert Upscaler(tmp_path / "run" / "weights.safetensors", threads=1).scale == 2


def test_missing_extra_gets_one_line(dvmsr, photographs, monkeypatch, tmp_path):
    import sys

    for name in [name for name in sys.modules if name.startswith("dvmsr.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    code, _, err = dvmsr("train", photographs, "--output", tmp_path / "run")
    assert (code, err) == (
        2,
        "dvmsr: error: Training needs lightning: run pip install '.[train]' in dvmsr's source folder\n",
    )
