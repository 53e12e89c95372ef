"""Losses, teachers, callbacks and loggers that a researcher brings along."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from dvmsr import ArgumentError
from dvmsr.training import LossSettings, TeacherSettings, train
from dvmsr.training.checkpoints import list_checkpoints, read_checkpoint
from dvmsr.weights import load_weights

MODULE = """
import torch
from torch import nn

calls = []

def charbonnier(output, target):
    calls.append((tuple(output.shape), tuple(target.shape)))
    return ((output - target) ** 2 + 1e-6).sqrt().mean()

def no_scalar(output, target):
    return output - target

def mean_error(output, target):
    return (output - target).abs().mean()

def broken(output, target):
    raise ValueError("no\\nidea")

class Tired(nn.Module):
    def forward(self, x):
        if len(x) > 1:
            raise RuntimeError("too much")
        return nn.functional.interpolate(x, scale_factor=4)

def learnable(scale=4):
    torch.manual_seed(7)
    return nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.Dropout(0.5), nn.PixelShuffle(scale))

def twice():
    return learnable(2)

def no_network():
    return "a network"

def fails():
    raise RuntimeError("no file of weights")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module in the working directory."""
    (tmp_path / "own_code.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("own_code", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_code

    yield own_code
    del sys.modules["own_code"]


@pytest.fixture
def short(small_config):
    return replace(small_config, run=replace(small_config.run, steps=6))


def parameters(weights):
    return load_weights(weights).parameters


def test_a_loss_of_ones_own(own, short, make_display, tmp_path):
    config = replace(short, loss=LossSettings(function="own_code:charbonnier"))
    trained = parameters(train(config, tmp_path / "own", display=make_display()))
    assert own.calls == [((2, 3, 32, 32), (2, 3, 32, 32))] * 6
    # The same function as the built-in one leads to the same bits.
    mean_error = replace(short, loss=LossSettings(function="own_code:mean_error"))
    one = parameters(train(mean_error, tmp_path / "mean", display=make_display()))
    other = parameters(train(short, tmp_path / "l1", display=make_display()))
    assert all((one[name] == other[name]).all() for name in one)
    assert any((trained[name] != other[name]).any() for name in one)


@pytest.mark.usefixtures("own")
def test_a_loss_that_is_no_scalar(short, make_display, tmp_path):
    config = replace(short, loss=LossSettings(function="own_code:no_scalar"))
    with pytest.raises(ArgumentError, match=r"own_code:no_scalar to return a scalar .* got shape \(2, 3, 32"):
        train(config, tmp_path / "run", display=make_display())


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"loss": LossSettings(function="own_code:broken")},
            "loss.function: own_code:broken failed: ValueError: no; "
            "the exception before this one shows where",
        ),
        (
            {"teacher": TeacherSettings(networks=("own_code:Tired",), outputs="online")},
            "the teacher Tired, for a batch of shape (2, 3, 8, 8), failed: RuntimeError: too much; "
            "the exception before this one shows where",
        ),
    ],
)
def test_own_code_that_fails_in_a_step_is_one_line(short, make_display, tmp_path, settings, message):
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        train(replace(short, **settings), tmp_path / "run", display=make_display())


def test_any_network_as_an_online_teacher(own, short, make_display, tmp_path, teacher_weights):
    """Frozen, in evaluation, in the record, and in the mean with a file of weights."""
    settings = TeacherSettings(networks=("own_code:learnable",), outputs="online", self_ensemble=True)
    run = tmp_path / "run"
    alone = parameters(train(replace(short, teacher=settings), run, display=make_display()))
    state = read_checkpoint(list_checkpoints(run / "checkpoints")[0], short.network)["state_dict"]
    assert set(state) == {f"network.{name}" for name in alone}
    both = replace(settings, weights=(str(teacher_weights(0)),))
    mixed = parameters(train(replace(short, teacher=both), tmp_path / "both", display=make_display()))
    assert any((mixed[name] != alone[name]).any() for name in alone)
    # Of a network with other parameters the run cannot go on.
    own.learnable = lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 48, 1), torch.nn.PixelShuffle(4))
    with pytest.raises(ArgumentError, match="the teachers are others"):
        train(replace(short, teacher=settings), run, resume=True, display=make_display())


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_code:twice", "own_code:twice: expected a network that enlarges 4 times, got one of 2"),
        ("own_code:no_network", "own_code:no_network: expected a torch.nn.Module, got str"),
        ("own_code:fails", "own_code:fails: building the network failed: RuntimeError: no file of weights"),
    ],
)
def test_a_teacher_that_does_not_fit(short, make_display, tmp_path, name, message):
    config = replace(short, teacher=TeacherSettings(networks=(name,), outputs="online"))
    with pytest.raises(ArgumentError, match=re.escape(f"teacher.networks: {message}")):
        train(config, tmp_path / "run", display=make_display())
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_network_as_teacher_is_online():
    with pytest.raises(ArgumentError, match='networks need outputs = "online"'):
        TeacherSettings(networks=("own_code:bicubic",))


class Counts(Callback):
    """Counts the steps, over resumption."""

    def __init__(self):
        self.steps = 0

    def on_train_batch_end(self, *_):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def test_callbacks_and_loggers_of_ones_own(short, make_display, tmp_path, benchmark_set):
    monitor = replace(short.monitor, validation=(str(benchmark_set),), validate_every=5)
    config, counts = replace(short, monitor=monitor), Counts()
    logger = CSVLogger(tmp_path, name="", version="own")
    train(config, tmp_path / "run", display=make_display(), callbacks=[counts], loggers=[logger])
    assert counts.steps == 6
    with (tmp_path / "own" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["loss"]] == ["5", "6"]
    assert [row["step"] for row in rows if row["Tiny psnr_y"]] == ["5", "6"]
    # Of the step before, whose checkpoint is the older one.
    newest, _ = list_checkpoints(tmp_path / "run" / "checkpoints")
    newest.unlink()
    again = Counts()
    train(config, tmp_path / "run", resume=True, display=make_display(), callbacks=[again])
    assert again.steps == 6
