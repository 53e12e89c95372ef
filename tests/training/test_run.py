"""Whole runs of a small network, in this process."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dvmsr import ArgumentError, DatasetError, DvmsrError, Upscaler, WeightsError
from dvmsr.locks import lock_file
from dvmsr.training import MonitorSettings, RunFolder, TeacherSettings, TrainingConfig, callbacks, train
from dvmsr.training.checkpoints import list_checkpoints, read_checkpoint
from dvmsr.weights import load_weights, rescale_weights


def final_state(run: Path) -> dict[str, object]:
    return read_checkpoint(list_checkpoints(run / "checkpoints")[0], RunFolder(run).read_config().network)


def assert_same(one: object, other: object) -> None:
    """Equal bit by bit, all through a checkpoint's dicts and lists."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


STATES = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers")


def assert_same_run(one: Path, other: Path) -> None:
    first, second = final_state(one), final_state(other)
    for name in STATES:
        assert_same(first[name], second[name])
    np_one, np_other = (load_weights(run / "weights.safetensors").parameters for run in (one, other))
    assert all(np.array_equal(np_one[name], np_other[name]) for name in np_one)


def read_log(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns_and_leaves_what_it_should(make_display, small_config, benchmark_set, tmp_path):
    monitor = replace(small_config.monitor, validation=(str(benchmark_set),), validate_every=50)
    config = replace(small_config, run=replace(small_config.run, steps=150, batch=4), monitor=monitor)
    display = make_display()
    weights = train(config, tmp_path / "run", display=display)
    rows = read_log(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == list(range(5, 151, 5))
    losses = [float(row["loss"]) for row in rows]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    scores = [float(row["Tiny psnr_y"]) for row in rows if row["Tiny psnr_y"]]
    assert len(scores) == 3
    assert scores[-1] > scores[0]
    assert display.lines[0].startswith("bicubic interpolation: Tiny ")
    assert display.lines[-1].startswith("step 150: Tiny ")
    for step in (50, 100, 150):
        picture = np.asarray(Image.open(tmp_path / "run" / "samples" / f"Tiny-{step:08d}.png"))
        assert picture.shape == (64, 3 * 48, 3)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")] == [
        "step-00000150.ckpt",
        "step-00000145.ckpt",
    ]
    upscaler = Upscaler(weights, threads=1)
    assert upscaler.config == config.network
    assert upscaler.upscale(np.zeros((3, 5, 3), np.uint8)).shape == (12, 20, 3)


def test_the_exported_weights_say_where_they_come_from(make_display, small_config, photographs, tmp_path):
    from safetensors import safe_open

    config = replace(small_config, run=replace(small_config.run, steps=3))
    with safe_open(train(config, tmp_path / "run", display=make_display()), framework="np") as file:
        notes = json.loads(file.metadata()["dvmsr"])
    assert notes["trained_steps"] == 3
    assert "batch = 2" in notes["training_config"]
    assert '"fingerprint"' in notes["training_record"]
    assert photographs.name in notes["training_config"]
    assert str(photographs.parent) not in str(notes)


def interrupt(step: int, number: signal.Signals) -> Callable[[int], None]:
    """What raises a signal after a step."""
    return lambda done: signal.raise_signal(number) if done == step else None


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    make_display, small_config, benchmark_set, tmp_path, optimizer
):
    monitor = replace(small_config.monitor, validation=(str(benchmark_set),))
    config = replace(small_config, monitor=monitor, optimizer=replace(small_config.optimizer, name=optimizer))
    train(config, tmp_path / "whole", display=make_display())
    display = make_display(interrupt(7, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts", display=display)
    assert display.lines[-1] == "stopped after step 7, which is saved: go on with --resume"
    with pytest.raises(SystemExit) as ended:
        train(config, tmp_path / "parts", resume=True, display=make_display(interrupt(13, signal.SIGTERM)))
    assert ended.value.code == 128 + signal.SIGTERM
    train(config, tmp_path / "parts", resume=True, display=make_display())
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    columns = ("step", "learning_rate", "Tiny psnr_y")
    whole, parts = (
        [[row[column] for column in columns] for row in read_log(tmp_path / run)]
        for run in ("whole", "parts")
    )
    assert whole == parts


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it_within_the_step(make_display, small_config, tmp_path, monkeypatch, second):
    """And what comes twice of one, by way of a launcher, is no second one."""

    def stop(done: int) -> None:
        if done == 7:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(second)
            if seconds == 0:
                pytest.fail("the second one was not heard")

    for seconds, newest in ((60, 7), (0, 5)):
        monkeypatch.setattr(callbacks, "_SECONDS_TO_A_SECOND", seconds)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as ended:
            train(small_config, tmp_path / str(seconds), display=make_display(stop))
        kept = list_checkpoints(tmp_path / str(seconds) / "checkpoints")
        assert int(kept[0].stem.rpartition("-")[2]) == newest
    assert ended.type is (KeyboardInterrupt if second == signal.SIGINT else SystemExit)
    assert second == signal.SIGINT or ended.value.code == 128 + second


def test_a_damaged_checkpoint_costs_steps_and_no_more(make_display, small_config, tmp_path):
    train(small_config, tmp_path / "whole", display=make_display())
    with pytest.raises(KeyboardInterrupt):
        train(small_config, tmp_path / "run", display=make_display(interrupt(14, signal.SIGINT)))
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    display = make_display()
    train(small_config, tmp_path / "run", resume=True, display=display)
    assert "step-00000014.ckpt: damaged checkpoint" in display.lines[0]
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(
    make_display, small_config, teacher_weights, tmp_path
):
    config = replace(small_config, run=replace(small_config.run, initial_weights=str(teacher_weights())))
    train(config, tmp_path / "whole", display=make_display())

    def fail(_: int) -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path / "run", display=make_display(fail))
    assert not list_checkpoints(tmp_path / "run" / "checkpoints")
    others = "cannot go on with another configuration: the weights in run.initial_weights are others"
    for name in (str(teacher_weights(1)), ""):
        other = replace(config, run=replace(config.run, initial_weights=name))
        with pytest.raises(ArgumentError, match=others):
            train(other, tmp_path / "run", resume=True, display=make_display())
    train(config, tmp_path / "run", resume=True, display=make_display())
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    # After the first checkpoint as before it.
    with pytest.raises(ArgumentError, match=others):
        train(other, tmp_path / "run", resume=True, display=make_display())


def test_a_finished_run_has_nothing_left_to_do(make_display, small_config, tmp_path):
    config = replace(small_config, run=replace(small_config.run, steps=2))
    weights = train(config, tmp_path / "run", display=make_display())
    weights.rename(tmp_path / "before.safetensors")
    train(config, tmp_path / "run", resume=True, display=make_display())
    before, after = (load_weights(path).parameters for path in (tmp_path / "before.safetensors", weights))
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("outputs", ["cached", "online"])
def test_distillation_with_workers_and_mixed_precision(
    make_display, small_config, teacher_weights, tmp_path, outputs
):
    weights = (str(teacher_weights(0)), str(teacher_weights(1)))
    config = replace(
        small_config,
        teacher=TeacherSettings(weights=weights, self_ensemble=True, outputs=outputs, teacher_only=2),
        run=replace(small_config.run, steps=4, precision="bf16-mixed"),
        machine=replace(small_config.machine, workers=1, memory_mib=0),
    )
    Upscaler(train(config, tmp_path / "run", display=make_display()), threads=1)
    cached = [path.name.partition("-")[0] for path in (tmp_path / "cache").iterdir()]
    assert cached.count("pixels") == 3
    assert cached.count("teacher") == (3 if outputs == "cached" else 0)


def test_fine_tuning_begins_with_the_given_weights(
    make_display, small_config, teacher_weights, benchmark_set, tmp_path
):
    start = teacher_weights()
    run = replace(small_config.run, steps=1, initial_weights=str(start))
    optimizer = replace(small_config.optimizer, learning_rate=1e-9)
    monitor = replace(small_config.monitor, validation=(str(benchmark_set),))
    config, display = replace(small_config, run=run, optimizer=optimizer, monitor=monitor), make_display()
    tuned = train(config, tmp_path / "run", display=display)
    # Of the start there are scores and a picture, too.
    begin, end = (line for line in display.lines if line.startswith("step "))
    assert begin.replace("step 0", "step 1") == end
    assert (tmp_path / "run" / "samples" / "Tiny-00000000.png").exists()
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file) if row["Tiny psnr_y"]] == ["0", "1"]
    before, after = (load_weights(path).parameters for path in (start, tuned))
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_a_scale_begins_with_the_weights_of_another(make_display, small_config, teacher_weights, tmp_path):
    run = replace(small_config.run, steps=1, initial_weights=str(teacher_weights()))
    optimizer = replace(small_config.optimizer, learning_rate=1e-9)
    network = replace(small_config.network, scale=2)
    config = replace(small_config, run=run, optimizer=optimizer, network=network)
    tuned = load_weights(train(config, tmp_path / "run", display=make_display()))
    assert tuned.config.scale == 2
    expected = rescale_weights(load_weights(teacher_weights()), 2).parameters
    assert all(np.allclose(tuned.parameters[name], expected[name], atol=1e-3) for name in expected)


def test_a_run_is_not_overwritten_nor_mixed_with_another(
    make_display, small_config, teacher_weights, tmp_path
):
    config = replace(small_config, run=replace(small_config.run, steps=2))
    train(config, tmp_path / "run", display=make_display())

    def refused(changed: TrainingConfig, resume: bool) -> str:
        with pytest.raises(ArgumentError) as raised:
            train(changed, tmp_path / "run", resume=resume, display=make_display())
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert "holds a run already: add --resume" in refused(config, False)
    other = replace(config, run=replace(config.run, steps=3), data=replace(config.data, patch=9))
    message = refused(other, True)
    assert "data.patch is 9, was 8; run.steps is 3, was 2" in message
    taught = replace(config, teacher=TeacherSettings(weights=(str(teacher_weights()),)))
    assert "the teachers are others" in refused(taught, True)
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "hr" / "a.png")
    moved = replace(config, data=replace(config.data, hr=(str(tmp_path / "hr"),)))
    assert "the photographs are others" in refused(moved, True)


def test_two_processes_do_not_train_in_one_folder(make_display, small_config, tmp_path):
    config = replace(small_config, run=replace(small_config.run, steps=1))
    folder = tmp_path / "run"
    train(config, folder, display=make_display())
    lock = lock_file(folder / ".lock")
    with pytest.raises(ArgumentError, match="another process trains here; wait for it"):
        train(config, folder, resume=True, display=make_display())
    os.close(lock)
    train(config, folder, resume=True, display=make_display())


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"data": 3}', "{", "\xff"])
def test_a_record_that_is_none(make_display, small_config, tmp_path, text):
    config = replace(small_config, run=replace(small_config.run, steps=1))
    train(config, tmp_path / "run", display=make_display())
    record = tmp_path / "run" / "record.json"
    assert json.loads(record.read_text())["initial_weights"] is None
    record.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArgumentError, match=r"record\.json: ") as raised:
        train(config, tmp_path / "run", resume=True, display=make_display())
    assert "\n" not in str(raised.value)


def test_an_export_renames_no_checkpoint(make_display, small_config, tmp_path):
    config = replace(small_config, run=replace(small_config.run, steps=6))
    train(config, tmp_path / "run", display=make_display())
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    newest.write_bytes(b"")
    reports: list[str] = []
    assert RunFolder(tmp_path / "run").export(tmp_path / "w.safetensors", reports.append) == 5
    assert len(reports) == 1
    assert newest.exists()


def test_nothing_to_resume(make_display, small_config, tmp_path):
    with pytest.raises(ArgumentError, match="holds no run"):
        train(small_config, tmp_path / "run", resume=True, display=make_display())


def broken_inputs(
    config: TrainingConfig, folder: Path, teacher: Path
) -> dict[str, tuple[TrainingConfig, type, str]]:
    missing = str(folder / "missing")
    (folder / "Wrong" / "HR").mkdir(parents=True)
    (folder / "Wrong" / "LR").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "Wrong" / "HR" / "a.png")
    Image.new("RGB", (32, 32)).save(folder / "Wrong" / "LR" / "a.png")
    return {
        "no set": (
            replace(config, monitor=MonitorSettings(validation=(missing,))),
            DatasetError,
            "no folder HR",
        ),
        "set of another scale": (
            replace(config, monitor=MonitorSettings(validation=(str(folder / "Wrong"),))),
            DatasetError,
            "scale 4 of 32x32",
        ),
        "no photographs": (
            replace(config, data=replace(config.data, hr=(missing,))),
            DatasetError,
            "expected a folder",
        ),
        "no teacher": (
            replace(config, teacher=TeacherSettings(weights=(missing,))),
            WeightsError,
            "cannot read weights",
        ),
        "teacher of another scale": (
            replace(config, teacher=TeacherSettings(weights=(str(teacher),))),
            ArgumentError,
            "scale 2",
        ),
        "gpu": (
            replace(config, machine=replace(config.machine, accelerator="gpu")),
            ArgumentError,
            "finds 0 CUDA GPUs",
        ),
        "split": (
            replace(config, machine=replace(config.machine, devices=3)),
            ArgumentError,
            "multiple of the 3 processes",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "no set",
        "set of another scale",
        "no photographs",
        "no teacher",
        "teacher of another scale",
        "gpu",
        "split",
    ],
)
def test_what_is_wrong_shows_before_training(make_display, small_config, teacher_weights, tmp_path, case):
    if case == "gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config, kind, message = broken_inputs(small_config, tmp_path, teacher_weights(scale=2))[case]
    with pytest.raises(kind, match=message) as raised:
        train(config, tmp_path / "run", display=make_display())
    assert "\n" not in str(raised.value)
    # So that the same command works once the cause is gone.
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_folder_that_cannot_be_written(make_display, small_config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="the run's folder cannot be written"):
        train(small_config, tmp_path / "file" / "run", display=make_display())


def test_a_loss_that_explodes_is_not_saved(make_display, small_config, tmp_path):
    optimizer = replace(small_config.optimizer, learning_rate=1e30, gradient_norm=0.0)
    with pytest.raises(DvmsrError, match="the loss became"):
        train(replace(small_config, optimizer=optimizer), tmp_path / "run", display=make_display())
    assert not list_checkpoints(tmp_path / "run" / "checkpoints")
