from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dvmsr import ArgumentError
from dvmsr.images import imresize
from dvmsr.inference.symmetries import SYMMETRIES, apply_symmetry, undo_symmetry
from dvmsr.training import RunSettings, TeacherSettings, TrainingConfig
from dvmsr.training.degrading import DegradationSettings, draw_degradation
from dvmsr.training.patches import Batch, PatchBatches, StepLoader, check_split
from dvmsr.training.photographs import Photograph
from dvmsr.training.resident import ResidentPhotographs
from dvmsr.training.symmetries import apply_symmetry_to_tensor, undo_symmetry_of_tensor


@pytest.fixture
def config() -> TrainingConfig:
    config = TrainingConfig(
        teacher=TeacherSettings(weights=("teacher",), teacher_only=2), run=RunSettings(steps=9, batch=4)
    )
    return replace(config, data=replace(config.data, patch=5))


@pytest.fixture
def decoded() -> list[Photograph]:
    """Photographs of noise, with a teacher that knows the ground truth's negative."""
    rng = np.random.default_rng(0)
    result = []
    for height, width in ((10, 7), (6, 12)):
        high = rng.integers(0, 256, (4 * height, 4 * width, 3), np.uint8)
        low = imresize(high, 1 / 4)
        result.append(Photograph(f"{height}", low, high, (1 - high / 255).astype(np.float16)))
    return result


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_batch_is_a_function_of_seed_and_step(decoded, config):
    batches = PatchBatches(decoded, config, 0, 1)
    assert equal(batches[3], PatchBatches(decoded, config, 0, 1)[3])
    assert not equal(batches[3], batches[4])
    other = replace(config, run=replace(config.run, seed=1))
    assert not equal(batches[3], PatchBatches(decoded, other, 0, 1)[3])


def test_shapes_and_types(decoded, config):
    batch = PatchBatches(decoded, config, 0, 1)[0]
    assert [tuple(x.shape) for x in batch] == [(4, 3, 5, 5), (4, 3, 20, 20), (4, 3, 20, 20), (2, 3, 5, 5)]
    assert [x.dtype for x in batch] == [torch.uint8, torch.uint8, torch.float16, torch.uint8]


def test_the_parts_of_processes_make_the_whole(decoded, config):
    whole = PatchBatches(decoded, config, 0, 1)[7]
    parts = [PatchBatches(decoded, config, rank, 2)[7] for rank in range(2)]
    assert equal(whole, Batch(*(torch.cat(some) for some in zip(*parts, strict=True))))


def test_batches_that_do_not_split(config):
    check_split(config, 2)
    with pytest.raises(ArgumentError, match=r"run\.batch is 4, but must be a multiple of the 3 processes"):
        check_split(config, 3)
    with pytest.raises(ArgumentError, match=r"teacher\.teacher_only is 2"):
        check_split(config, 4)


def test_all_that_belongs_together_is_cut_from_one_place(decoded, config):
    """Over some steps, so that all symmetries have come."""
    batches = PatchBatches(decoded, config, 0, 1)
    for step in range(6):
        low, high, teacher, _ = batches[step]
        torch.testing.assert_close(teacher.float(), 1 - high / 255, atol=1e-3, rtol=0)
        for one_low, one_high in zip(low.numpy(), high.numpy(), strict=True):
            made = imresize(one_high.transpose(1, 2, 0), 1 / 4)
            expected = one_low.transpose(1, 2, 0).astype(int)
            # Away from the border, of which the photograph knew more than the patch. Of a turned one, the
            # two passes of the resizing come in the other order, and so do their roundings.
            np.testing.assert_allclose(made[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=0, atol=1)


def test_a_patch_as_large_as_the_photograph(decoded, config):
    tight = replace(config, data=replace(config.data, patch=6))
    PatchBatches(decoded, tight, 0, 1)[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_goes_on_from_a_step(decoded, config, workers):
    batches = PatchBatches(decoded, config, 0, 1)
    loader = StepLoader(batches, 4, 9, workers)
    assert len(loader) == 9
    found = list(loader)
    assert len(found) == 5
    for step, batch in enumerate(found, start=4):
        assert equal(batch, batches[step])


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_symmetries_of_arrays_and_tensors_agree(symmetry):
    image = np.random.default_rng(0).random((3, 5, 3))
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    turned = apply_symmetry(image, symmetry)
    tensor_turned = apply_symmetry_to_tensor(tensor, symmetry)
    np.testing.assert_array_equal(turned, tensor_turned[0].permute(1, 2, 0))
    np.testing.assert_array_equal(undo_symmetry(turned, symmetry), image)
    assert torch.equal(undo_symmetry_of_tensor(tensor_turned, symmetry), tensor)
    if symmetry:
        assert turned.shape != image.shape or not np.array_equal(turned, image)


def degrading(config, **settings):
    return replace(
        config,
        teacher=TeacherSettings(),
        degradation=DegradationSettings(**{"probability": 1.0, **settings}),
    )


NOTHING = {"blur": 0.0, "noise": 0.0, "jpeg": 0.0, "webp": 0.0}


def test_degraded_patches_are_functions_of_seed_and_step(decoded, config):
    """And of the photograph's surroundings, not of what else is in the batch; the ground truth stays."""
    config = degrading(config)
    batch = PatchBatches(decoded, config, 0, 1)[3]
    assert torch.equal(batch.low, PatchBatches(decoded, config, 0, 1)[3].low)
    parts = [PatchBatches(decoded, config, rank, 2)[3].low for rank in range(2)]
    assert torch.equal(batch.low, torch.cat(parts))
    clean = PatchBatches(decoded, degrading(config, probability=0.0), 0, 1)[3]
    assert torch.equal(batch.high, clean.high)
    assert all(not torch.equal(one, other) for one, other in zip(batch.low, clean.low, strict=True))


def test_a_degradation_of_nothing_leaves_the_patch_as_it_is(decoded, config):
    """Up to the order of the two passes' roundings: the same margin serves, and the same turn."""
    nothing = degrading(config, reductions=("bicubic",), **NOTHING)
    for step in range(6):
        batch = PatchBatches(decoded, nothing, 0, 1)[step]
        clean = PatchBatches(decoded, degrading(config, probability=0.0), 0, 1)[step]
        assert torch.equal(batch.low, clean.low)


def test_each_degradation_comes_as_often_as_its_share():
    random = np.random.default_rng(0)
    settings = DegradationSettings(probability=0.8, jpeg=0.5, jpeg_twice=0.3, webp=0.1, blur=0.25, noise=0.6)
    drawn = [draw_degradation(settings, random) for _ in range(4000)]
    degraded = [one for one in drawn if one is not None]
    assert len(degraded) / len(drawn) == pytest.approx(0.8, abs=0.03)
    jpegs = [[c for c in one.compressions if c.codec == "jpeg"] for one in degraded]
    found = {
        0.25: [one.blur is not None for one in degraded],
        0.6: [one.noise is not None for one in degraded],
        0.5: [bool(some) for some in jpegs],
        0.3: [len(some) == 2 for some in jpegs if some],
        0.1: [any(c.codec == "webp" for c in one.compressions) for one in degraded],
        1 / 3: [one.reduction == "area" for one in degraded],
    }
    for share, happened in found.items():
        assert np.mean(happened) == pytest.approx(share, abs=0.035), share
    qualities = [c.quality for some in jpegs for c in some]
    assert min(qualities) == 30
    assert max(qualities) == 95
    offsets = {c.offset for some in jpegs for c in some}
    assert offsets == {(row, column) for row in range(16) for column in range(16)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blur": 1.5}, "blur must be from 0 to 1, got 1.5"),
        ({"jpeg_quality": (90, 30)}, "jpeg_quality must be two numbers from 1 to 100"),
        ({"noise_sigma": (1.0,)}, "noise_sigma must be two numbers"),
        ({"reductions": ()}, "reductions must name some of bicubic, bilinear, area"),
        (
            {"reductions": ("lanczos",)},
            "reductions must be a list, each of it one of bicubic, bilinear, area",
        ),
    ],
)
def test_settings_of_degradations_out_of_range(settings, message):
    with pytest.raises(ArgumentError, match=message):
        DegradationSettings(**settings)


@pytest.mark.parametrize("teacher", ["none", "networks", "folder", "both"])
def test_patches_cut_on_the_device_are_the_same(decoded, config, teacher):
    rng = np.random.default_rng(1)
    photographs = []
    for photograph in decoded:
        made = photograph.teacher if teacher in ("networks", "both") else None
        image = None
        if teacher in ("folder", "both"):
            image = rng.integers(0, 65536, photograph.high.shape, np.uint16)
        photographs.append(replace(photograph, teacher=made, teacher_image=image))
    batches = PatchBatches(photographs, config, 0, 1)
    resident = ResidentPhotographs(photographs, config, torch.device("cpu"))
    for step in range(12):
        cut, expected = resident.cut(batches.places(step)), batches[step]
        for one, other in zip(cut, expected, strict=True):
            assert one is other if other is None else torch.equal(one, other)
