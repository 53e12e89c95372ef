"""Runs in processes of their own: killed ones, and several at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dvmsr.training import RunFolder, TeacherSettings, train
from dvmsr.training.checkpoints import list_checkpoints, read_checkpoint
from dvmsr.training.recipe import to_toml
from dvmsr.weights import load_weights

HERE = Path(__file__).parent


def run(arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        # A group of its own for signals.
        start_new_session=True,
    )


def final_state(folder: Path) -> dict[str, object]:
    network = RunFolder(folder).read_config().network
    return read_checkpoint(list_checkpoints(folder / "checkpoints")[0], network)


def test_killed_and_resumed_the_weights_are_the_same_bits(make_display, small_config, tmp_path):
    config = replace(small_config, run=replace(small_config.run, steps=40))
    (tmp_path / "config.toml").write_text(to_toml(config))
    killed = run([HERE / "killed_run.py", tmp_path / "config.toml", tmp_path / "killed", "23", "SIGKILL"])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list_checkpoints(tmp_path / "killed" / "checkpoints")[0].name == "step-00000020.ckpt"
    # What a kill in the middle of writing leaves.
    (tmp_path / "killed" / "checkpoints" / ".dvmsr-0123456789abcdef").write_bytes(b"half")

    train(config, tmp_path / "killed", resume=True, display=make_display())
    assert not list((tmp_path / "killed" / "checkpoints").glob(".dvmsr-*"))
    train(config, tmp_path / "whole", display=make_display())
    one, other = final_state(tmp_path / "killed"), final_state(tmp_path / "whole")
    for name in ("state_dict", "current_model_state"):
        assert all(torch.equal(one[name][key], value) for key, value in other[name].items())
    one, other = (
        load_weights(tmp_path / name / "weights.safetensors").parameters for name in ("killed", "whole")
    )
    assert all(np.array_equal(one[name], value) for name, value in other.items())


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_saves(small_config, tmp_path):
    config = replace(
        small_config,
        run=replace(small_config.run, steps=400),
        machine=replace(small_config.machine, workers=2),
    )
    (tmp_path / "config.toml").write_text(to_toml(config))
    stopped = run([HERE / "killed_run.py", tmp_path / "config.toml", tmp_path / "run", "23", "SIGINT"])
    assert "stopped after step 23, which is saved" in stopped.stderr
    assert "DataLoader worker" not in stopped.stderr
    assert list_checkpoints(tmp_path / "run" / "checkpoints")[0].name == "step-00000023.ckpt"


def first_gradients(folder: Path) -> list[torch.Tensor]:
    """Adam's first moments, which after one step are the gradients, scaled."""
    (optimizer,) = final_state(folder)["optimizer_states"]
    return [state["exp_avg"] for state in optimizer["state"].values()]


def test_two_processes_have_the_gradients_of_one(make_display, small_config, teacher_weights, tmp_path):
    """One with the doubled batch, that is: ``run.batch`` is that of all together."""
    config = replace(
        small_config,
        teacher=TeacherSettings(weights=(str(teacher_weights()),), teacher_only=2),
        run=replace(small_config.run, steps=1, batch=4),
        machine=replace(small_config.machine, accelerator="cpu", threads=1),
    )
    train(config, tmp_path / "one", display=make_display())
    (tmp_path / "recipe.toml").write_text(to_toml(config))
    command = [
        HERE / "run_cli.py",
        "distill",
        "--recipe",
        tmp_path / "recipe.toml",
        "--output",
        tmp_path / "two",
    ]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = run([*torchrun, *command])
    assert two.returncode == 0, two.stderr
    assert two.stdout.strip() == str(tmp_path / "two" / "weights.safetensors")
    for one, other in zip(first_gradients(tmp_path / "one"), first_gradients(tmp_path / "two"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert any(gradient.abs().max() > 1e-4 for gradient in first_gradients(tmp_path / "one"))
