"""Patches that are cut where the photographs lie; on a CPU here, as on a GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dvmsr.training import TeacherSettings, patch_data, train
from dvmsr.training.degrading import DegradationSettings
from dvmsr.training.patch_data import PatchData
from dvmsr.training.photographs import Photograph
from dvmsr.training.resident import ResidentPhotographs, bytes_on_gpu


@pytest.mark.parametrize("outputs", ["cached", "online"])
def test_a_run_ends_with_the_same_weights(
    make_display, small_config, teacher_weights, tmp_path, monkeypatch, outputs
):
    teacher = TeacherSettings(weights=(str(teacher_weights()),), outputs=outputs, teacher_only=1)
    config = replace(small_config, teacher=teacher, run=replace(small_config.run, steps=4))
    made = []

    def resident(*arguments):
        made.append(ResidentPhotographs(*arguments))
        return made[-1]

    monkeypatch.setattr(patch_data, "ResidentPhotographs", resident)
    expected = train(config, tmp_path / "cut-before", display=make_display())
    assert not made
    monkeypatch.setattr(PatchData, "_fits_on", lambda *_: True)
    found = train(config, tmp_path / "cut-there", display=make_display())
    assert len(made) == 1
    assert found.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("teacher", [True, False])
def test_what_photographs_take(small_config, teacher):
    rng = np.random.default_rng(0)
    photographs = []
    for height, width in ((9, 12), (8, 8)):
        high = rng.integers(0, 256, (4 * height, 4 * width, 3), np.uint8)
        output = high.astype(np.float16) if teacher else None
        photographs.append(Photograph("", high[::4, ::4], high, output))
    resident = ResidentPhotographs(photographs, small_config, torch.device("cpu"))
    images = [resident._low, resident._high, *([resident._teacher] if teacher else [])]
    assert bytes_on_gpu(photographs) == sum(image._pixels.nbytes for image in images)


@pytest.mark.parametrize(
    ("free", "fits"), [(4 * 100, True), (4 * 100 - 1, False)], ids=["just enough", "too little"]
)
def test_a_quarter_of_the_free_memory(small_config, monkeypatch, free, fits):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 1 << 40))
    monkeypatch.setattr(patch_data, "bytes_on_gpu", lambda _: 100)
    gpu = torch.device("cuda")
    assert PatchData([], small_config, 0)._fits_on(gpu) is fits
    assert not PatchData([], small_config, 0)._fits_on(torch.device("cpu"))
    for left_out in (
        replace(small_config, degradation=DegradationSettings(probability=0.5)),
        replace(small_config, machine=replace(small_config.machine, photographs_on_gpu=False)),
    ):
        assert not PatchData([], left_out, 0)._fits_on(gpu)
