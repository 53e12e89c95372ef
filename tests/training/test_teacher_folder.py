"""A teacher that is a folder of images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pyvips
import torch

from dvmsr import ArgumentError, DatasetError
from dvmsr.images import read_image
from dvmsr.inference.symmetries import apply_symmetry
from dvmsr.model import DVMSR
from dvmsr.training import DataSettings, LossSettings, TeacherSettings, TrainingConfig, train
from dvmsr.training.patches import PatchBatches
from dvmsr.training.photograph_files import add_teacher_outputs, find_photographs
from dvmsr.training.photographs import PhotographLoader, open_pixels
from dvmsr.training.task import DistillationTask
from dvmsr.training.teacher import Teacher
from dvmsr.weights import load_weights


@pytest.fixture(params=[np.uint8, np.uint16])
def outputs(photographs, tmp_path, request):
    """A folder of negatives, of the photographs' sides cut to multiples of 4."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    for path in photographs.iterdir():
        image = read_image(path)
        height, width = (side - side % 4 for side in image.shape[:2])
        negative = (255 - image[:height, :width]).astype(request.param)
        if request.param == np.uint16:
            negative *= 257
        pyvips.Image.new_from_array(negative).write_to_file(str(folder / f"{path.stem}.png"))
    return folder


def load(photographs, settings, *, memory=1 << 30, cache=None):
    data = DataSettings(hr=(str(photographs),), patch=8)
    files = add_teacher_outputs(find_photographs(data), settings)
    return PhotographLoader(data, 4, memory, cache, 1, print).load(files)


def settings_for(outputs, **others):
    return TeacherSettings(outputs_folder=str(outputs), **others)


@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_outputs_lie_beside_their_photographs(photographs, outputs, tmp_path, memory):
    for photograph in load(photographs, settings_for(outputs), memory=memory, cache=tmp_path / "cache"):
        given, high = open_pixels(photograph.teacher_image), open_pixels(photograph.high)
        unit = np.iinfo(given.dtype).max // 255
        np.testing.assert_array_equal(given, (255 - high.astype(int)) * unit)


def test_an_output_turns_with_its_patch(photographs, outputs):
    teacher = settings_for(outputs)
    config = TrainingConfig(data=DataSettings(patch=8), teacher=teacher)
    batches = PatchBatches(load(photographs, teacher), config, 0, 1)
    for step in range(5):
        batch = batches[step]
        torch.testing.assert_close(batch.teacher.float(), 1 - batch.high / 255, atol=1e-3, rtol=0)


def test_a_folder_is_one_more_in_the_mean(photographs, outputs, teacher_weights):
    """Of two networks and the folder, the folder is a third; whether the networks' are kept or not."""
    weights = tuple(str(teacher_weights(seed)) for seed in (0, 1))
    loaded = load(photographs, settings_for(outputs))
    networks = [load_weights(path) for path in weights]
    ensemble = Teacher(map(DVMSR.from_weights, networks), self_ensemble=True)
    with_kept = [
        replace(
            photograph,
            teacher=np.stack([np.full(open_pixels(photograph.high).shape[:2], 0.25, np.float16)] * 3, axis=2),
        )
        for photograph in loaded
    ]
    config = TrainingConfig(
        network=networks[0].config,
        data=DataSettings(patch=8),
        teacher=settings_for(outputs, weights=weights, self_ensemble=True),
        loss=LossSettings(lambda_hr=0),
    )
    kept = PatchBatches(with_kept, config, 0, 1)[0]
    expected = (2 * 0.25 + (1 - kept.high / 255)) / 3
    torch.testing.assert_close(kept.teacher.float(), expected, atol=1e-3, rtol=0)

    online = replace(config, teacher=replace(config.teacher, outputs="online", teacher_only=2))
    batch = PatchBatches(loaded, online, 0, 1)[0]
    task = DistillationTask(DVMSR.from_weights(networks[0]), online, ensemble)
    low = torch.cat([batch.low, batch.teacher_only]) / 255
    target = ensemble(low)
    pairs = len(batch.low)
    target[:pairs] = (2 * target[:pairs] + (1 - batch.high / 255)) / 3
    loss = (task.network(low) - target).abs().mean()
    torch.testing.assert_close(task.training_step(batch, 0), loss, atol=1e-4, rtol=1e-4)


def test_a_run_goes_on_with_the_same_folder_alone(outputs, make_display, small_config, tmp_path):
    run = replace(small_config.run, steps=10)
    config = replace(small_config, run=run, teacher=settings_for(outputs), loss=LossSettings(lambda_hr=0))
    train(config, tmp_path / "run", display=make_display())
    exported = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert str(tmp_path).encode() not in exported
    outputs.rename(tmp_path / "moved")
    moved = replace(config, teacher=settings_for(tmp_path / "moved"))
    train(moved, tmp_path / "run", resume=True, display=make_display())
    name = "0.png"
    turned = apply_symmetry(read_image(tmp_path / "moved" / name), 2)
    pyvips.Image.new_from_array(np.ascontiguousarray(turned)).write_to_file(str(tmp_path / "moved" / name))
    with pytest.raises(ArgumentError, match="the teachers are others"):
        train(moved, tmp_path / "run", resume=True, display=make_display())


def test_what_does_not_fit_is_said_before_the_first_step(outputs, make_display, small_config, tmp_path):
    config = replace(small_config, teacher=settings_for(outputs))
    (outputs / "1.png").rename(outputs / "other.png")
    with pytest.raises(DatasetError, match=r"outputs: no output for 1\.png; expected an image by"):
        train(config, tmp_path / "run", display=make_display())
    pyvips.Image.black(81, 64, bands=3).write_to_file(str(outputs / "1.png"))
    with pytest.raises(
        DatasetError, match=r"1\.png is 81x64 pixels, but the output for .*1\.png must be 80x64"
    ):
        train(config, tmp_path / "run", display=make_display())
    assert not (tmp_path / "run" / "config.toml").exists()


def test_settings_that_do_not_go_with_a_folder():
    teacher = settings_for("folder")
    TrainingConfig(teacher=teacher, loss=LossSettings(lambda_hr=0))
    with pytest.raises(ArgumentError, match=r"no outputs for the sizes of data\.scale_augmentation"):
        TrainingConfig(teacher=teacher, data=DataSettings(scale_augmentation=(0.5,)))
    with pytest.raises(ArgumentError, match=r"loss\.lambda_kd is 0"):
        TrainingConfig(teacher=teacher, loss=LossSettings(lambda_kd=0))
