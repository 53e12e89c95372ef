"""Checkpoints that came to harm, or were made to do it: one line, the one before, and no code run."""

from __future__ import annotations

import functools
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dvmsr import ArgumentError
from dvmsr.training import RunFolder, train
from dvmsr.training.checkpoints import checkpoint_path, newest_checkpoint


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, photographs):
    """A run that has just ended, with checkpoints after 5 and 10 steps."""
    from dvmsr import NetworkConfig
    from dvmsr.training import DataSettings, MonitorSettings, RunSettings, TrainingConfig
    from dvmsr.training.display import Display

    config = TrainingConfig(
        network=NetworkConfig(channels=8, blocks=1, vimms_per_block=1, state_size=4),
        data=DataSettings(hr=(str(photographs),), patch=8),
        run=RunSettings(steps=10, batch=2),
        monitor=MonitorSettings(checkpoint_every=5),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(config, folder, display=Display(silent=True))
    return folder


@pytest.fixture
def run(whole_run, tmp_path):
    shutil.copytree(whole_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def set_in(content, *keys, to):
    *way, last = keys
    inside = functools.reduce(lambda found, key: found[key], way, content)
    inside[last] = to(inside.get(last) if isinstance(inside, dict) else inside[last]) if callable(to) else to


NAME = "network.deep.bias"
DAMAGES = {
    "step as text": (("global_step",), "7", "global_step is str, expected int"),
    "step as None": (("global_step",), None, "global_step is NoneType, expected int"),
    "step as truth": (("global_step",), True, "global_step is bool, expected int"),
    "step below 0": (("global_step",), -5, "global_step is -5, expected a count of steps"),
    "step of many digits": (("global_step",), 2**90, "global_step is a number of many digits"),
    "epoch as list": (("epoch",), [1], "epoch is list, expected int"),
    "state as list": (("state_dict",), [1], "state_dict is list, expected dict"),
    "state as None": (("current_model_state",), None, "current_model_state is NoneType, expected dict"),
    "state that is empty": (("state_dict",), {}, "state_dict is of another network: .* is missing"),
    "number as parameter": (("state_dict", NAME), 3, "state_dict holds more than tensors"),
    "parameter of another shape": (
        ("state_dict", NAME),
        torch.zeros(9),
        "state_dict is of another .* is 9, ",
    ),
    "parameter too many": (
        ("state_dict", "network.more"),
        torch.zeros(9),
        "state_dict .* network.more is unexp",
    ),
    "integers as parameter": (("state_dict", NAME), lambda x: x.long(), "state_dict holds torch.int64 as "),
    "complex parameter": (("state_dict", NAME), lambda x: x.cfloat(), "state_dict holds torch.complex64 as "),
    "meta parameter": (("state_dict", NAME), lambda x: x.to("meta"), "state_dict.* is no dense tensor"),
    "sparse parameter": (("state_dict", NAME), lambda x: x.to_sparse(), "state_dict.* is no dense tensor"),
    "parameter of stride 0": (
        ("state_dict", NAME),
        lambda x: x[:1].clone().expand(8),
        "has more numbers than",
    ),
    "parameter of NaN": (
        ("current_model_state", NAME),
        lambda x: x * torch.nan,
        "holds values that are not finite",
    ),
    "optimizer of NaN": (
        ("optimizer_states", 0, "state", 0, "exp_avg"),
        lambda x: x / 0,
        r"optimizer_states\.0\.state\.0\.exp_avg holds values that are not finite",
    ),
    "optimizers as text": (("optimizer_states",), "Adam", "optimizer_states is str, expected list"),
    "loops as list": (("loops",), [], "loops is list, expected dict"),
    "set in the callbacks": (("callbacks", "more"), {1, 2}, "callbacks.more is set, which no run saves"),
    "much nested": (
        ("callbacks", "more"),
        functools.reduce(lambda inside, _: [inside], range(100), 0),
        "is nested too deeply",
    ),
}


def replace_newest(run, change):
    path = checkpoint_path(run.checkpoints, 10)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_field_that_is_wrong(run, damage):
    keys, value, told = DAMAGES[damage]
    path = replace_newest(run, lambda content: set_in(content, *keys, to=value))
    warnings: list[str] = []
    network = run.read_config().network
    found, content = newest_checkpoint(run.checkpoints, network, warnings.append, set_aside=False)
    assert (found, content["global_step"]) == (checkpoint_path(run.checkpoints, 5), 5)
    (warning,) = warnings
    assert warning.startswith(f"{path}: damaged checkpoint (")
    assert re.search(told, warning)
    assert warning.isprintable()
    # The same from where it is exported.
    assert run.export(run.path / "weights.safetensors", warnings.append) == 5


PLACES = [
    ("more",),
    ("callbacks", "ModelCheckpoint"),
    ("hyper_parameters",),
    ("hparams_name",),
    ("datamodule_hyper_parameters",),
    ("loops", "fit_loop", "state_dict"),
    ("lr_schedulers", 0, "more"),
    ("optimizer_states", 0, "param_groups"),
    ("averaging_state", "n_averaged"),
    ("state_dict", NAME),
    ("pytorch-lightning_version",),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_no_code_runs_wherever_it_lies(run, tmp_path, place, make_display):
    touched = tmp_path / "touched"
    path = replace_newest(run, lambda content: set_in(content, *place, to=Code(touched)))
    display = make_display()
    config = run.read_config()
    if place == PLACES[0]:
        # All the way, and with more steps to go.
        train(replace(config, run=replace(config.run, steps=10)), run.path, resume=True, display=display)
        assert any("damaged checkpoint" in line for line in display.lines)
    else:
        newest_checkpoint(run.checkpoints, config.network, display.lines.append, set_aside=True)
        assert "damaged checkpoint" in display.lines[0]
    assert not touched.exists()
    # What the test stands on.
    damaged = path.with_suffix(".damaged")
    torch.load(damaged, weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("loops",), {}),
        (("loops", "fit_loop", "epoch_loop.batch_progress"), {}),
        (("lr_schedulers",), [{"last_epoch": "three"}]),
        (("optimizer_states",), []),
        (("optimizer_states", 0, "state"), {}),
        (("optimizer_states", 0, "param_groups", 0, "params"), [1, 2]),
        (("averaging_state",), {}),
        (("callbacks",), {"MovingAverage": {}}),
    ],
    ids=str,
)
def test_what_lightning_alone_can_tell_is_one_line_or_no_matter(run, keys, value, make_display):
    """Before the first step; a traceback is what it must never be."""
    network = run.read_config().network
    path = checkpoint_path(run.checkpoints, 10)
    path.unlink()
    path = checkpoint_path(run.checkpoints, 5)
    content = torch.load(path, weights_only=True)
    set_in(content, *keys, to=value)
    torch.save(content, path)
    newest_checkpoint(run.checkpoints, network, pytest.fail, set_aside=False)
    message = None
    try:
        train(run.read_config(), run.path, resume=True, display=make_display())
    except ArgumentError as error:
        message = str(error)
    if message is not None:
        assert message.startswith(f"{path}: damaged checkpoint (")
        assert message.isprintable()


def test_a_folder_whose_name_begins_like_an_address(run, tmp_path, monkeypatch, make_display):
    """Lightning would ask the net for it, and load it with its code."""
    Path(run.path).rename(tmp_path / "http_run")
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("http_run"))
    checkpoint_path(run.checkpoints, 10).unlink()
    train(run.read_config(), "http_run", resume=True, display=make_display())
    assert checkpoint_path(run.checkpoints, 10).exists()
