from __future__ import annotations

import copy
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch

from dvmsr import ArgumentError
from dvmsr.inference.symmetries import apply_symmetry
from dvmsr.model import DVMSR
from dvmsr.training import LossSettings, TeacherSettings, TrainingConfig
from dvmsr.training.patches import Batch
from dvmsr.training.photographs import Photograph, open_pixels
from dvmsr.training.task import DistillationTask
from dvmsr.training.teacher import Teacher, TeacherOutputs, load_teachers
from dvmsr.weights import load_weights

CPU = torch.device("cpu")


@pytest.fixture
def teachers(teacher_weights):
    return [load_weights(teacher_weights(seed)) for seed in (0, 1)]


def photograph(seed: int = 0, size: int = 9) -> Photograph:
    low = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return Photograph(str(seed), low, low.repeat(4, axis=0).repeat(4, axis=1))


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("self_ensemble", [False, True])
def test_kept_outputs_are_those_of_the_networks(teachers, tmp_path, self_ensemble):
    """The engine's for whole photographs, and PyTorch's for patches."""
    one = photograph()
    (kept,) = TeacherOutputs(teachers, self_ensemble, tmp_path, CPU, print).add_to([one])
    online = Teacher(map(DVMSR.from_weights, teachers), self_ensemble)(as_tensor(one.low) / 255)
    torch.testing.assert_close(as_tensor(open_pixels(kept.teacher)), online, atol=2e-3, rtol=0)


def test_the_ensemble_turns_with_its_input(teachers):
    low = as_tensor(photograph().low) / 255
    turned = as_tensor(apply_symmetry(photograph().low, 5)) / 255
    ensemble = Teacher(map(DVMSR.from_weights, teachers), self_ensemble=True)
    expected = as_tensor(apply_symmetry(ensemble(low)[0].permute(1, 2, 0).numpy(), 5))
    torch.testing.assert_close(ensemble(turned), expected, atol=1e-5, rtol=0)
    alone = Teacher(map(DVMSR.from_weights, teachers), self_ensemble=False)
    assert not torch.allclose(alone(turned), expected, atol=1e-3)


def test_outputs_are_made_once(teachers, tmp_path, monkeypatch):
    photographs = [photograph(0), photograph(1)]
    made = TeacherOutputs(teachers, True, tmp_path, CPU, print).add_to(photographs)
    monkeypatch.setattr(TeacherOutputs, "_output", lambda *_: pytest.fail("made again"))
    assert TeacherOutputs(teachers, True, tmp_path, CPU, print).add_to(photographs, rank=1, world=2) == made
    with pytest.raises(pytest.fail.Exception):
        TeacherOutputs(teachers[:1], True, tmp_path, CPU, print).add_to(photographs)
    with pytest.raises(pytest.fail.Exception):
        TeacherOutputs(teachers, False, tmp_path, CPU, print).add_to(photographs)


def test_too_little_room_is_said_beforehand(teachers, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(free=100))
    with pytest.raises(ArgumentError, match="teacher's outputs take 0 MiB, 0 MiB are free"):
        TeacherOutputs(teachers, True, tmp_path, CPU, print).add_to([photograph()])


def test_teacher_of_another_scale(teacher_weights):
    settings = TeacherSettings(weights=(str(teacher_weights(0)), str(teacher_weights(1, scale=2))))
    with pytest.raises(
        ArgumentError, match=r"teacher1\.safetensors: a teacher of scale 2, the student has 4"
    ):
        load_teachers(settings, 4)


def make_batch(teacher: torch.Tensor | None, teacher_only: torch.Tensor | None) -> Batch:
    rng = torch.Generator().manual_seed(0)
    low = torch.randint(0, 256, (2, 3, 5, 5), generator=rng, dtype=torch.uint8)
    return Batch(
        low, torch.randint(0, 256, (2, 3, 20, 20), generator=rng, dtype=torch.uint8), teacher, teacher_only
    )


def make_task(teachers, **loss):
    config = TrainingConfig(
        network=teachers[0].config, teacher=TeacherSettings(weights=("a",)), loss=LossSettings(**loss)
    )
    return DistillationTask(
        DVMSR.from_weights(teachers[0]), config, Teacher([DVMSR.from_weights(teachers[1])], False)
    )


def test_the_loss_is_the_weighted_sum(teachers):
    batch = make_batch(None, None)
    task = make_task(teachers, lambda_hr=0.5, lambda_kd=2.0)
    low, high = batch.low / 255, batch.high / 255
    output, target = task.network(low), Teacher([DVMSR.from_weights(teachers[1])], False)(low)
    expected = 0.5 * (output - high).abs().mean() + 2 * (output - target).abs().mean()
    torch.testing.assert_close(task.training_step(batch, 0), expected)
    squares = make_task(teachers, distance="l2", lambda_hr=0.0).training_step(batch, 0)
    torch.testing.assert_close(squares, ((output - target) ** 2).mean())
    huber = make_task(teachers, distance="smooth_l1", smooth_l1_beta=1e-6).training_step(batch, 0)
    torch.testing.assert_close(huber, (output - high).abs().mean() + (output - target).abs().mean())


def test_kept_outputs_and_teacher_only_inputs_go_together(teachers):
    extra = torch.randint(0, 256, (3, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    task = make_task(teachers)
    teacher = Teacher([DVMSR.from_weights(teachers[1])], False)
    bare = make_batch(None, extra)
    given = make_batch(teacher(bare.low / 255), extra)
    # One computes all of the teacher's outputs, the other those of the further inputs.
    torch.testing.assert_close(task.training_step(given, 0), task.training_step(bare, 0))
    outputs = task.network(torch.cat([bare.low, extra]) / 255)
    targets = teacher(torch.cat([bare.low, extra]) / 255)
    expected = (outputs[:2] - bare.high / 255).abs().mean() + (outputs - targets).abs().mean()
    torch.testing.assert_close(task.training_step(bare, 0), expected)


def test_the_teacher_is_frozen_and_not_the_students(teachers):
    task = make_task(teachers)
    task.train()
    (teacher,) = task._teacher
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    own = set(task.state_dict())
    assert own == {f"network.{name}" for name in teachers[0].parameters}
    optimized = {
        id(p) for group in task.configure_optimizers()["optimizer"].param_groups for p in group["params"]
    }
    assert optimized == {id(p) for p in task.network.parameters()}
    assert copy.deepcopy(task)._teacher[0] is teacher


def test_without_a_teacher_there_is_one_term(teachers):
    config = replace(TrainingConfig(), network=teachers[0].config)
    task = DistillationTask(DVMSR.from_weights(teachers[0]), config, None)
    batch = make_batch(None, None)
    expected = (task.network(batch.low / 255) - batch.high / 255).abs().mean()
    torch.testing.assert_close(task.training_step(batch, 0), expected)
