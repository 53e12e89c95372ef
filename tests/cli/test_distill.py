"""``dvmsr distill --teacher-network``: a teacher that is any network of PyTorch's."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import pyvips


@pytest.mark.usefixtures("one_torch_thread")
def test_a_teacher_without_parameters(dvmsr, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (tmp_path / "photographs").mkdir()
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    image.write_to_file(str(tmp_path / "photographs" / "one.png"))
    (tmp_path / "own_teacher.py").write_text(
        "from torch import nn\n\ndef bicubic():\n    return nn.Upsample(scale_factor=4, mode='bicubic')\n"
    )
    monkeypatch.chdir(tmp_path)
    small = ("network.channels=8", "network.blocks=1", "network.vimms_per_block=1", "network.state_size=4")
    settings = [f"--set={part}" for part in (*small, "data.patch=8", "run.batch=2")]
    teacher = ["--teacher-network", "own_teacher:bicubic"]
    code, out, err = dvmsr("distill", "photographs", *teacher, "-o", "run", "--steps", 2, *settings)
    sys.modules.pop("own_teacher")
    assert code == 0, err
    assert out == "run/weights.safetensors\n"
    recipe = (tmp_path / "run" / "config.toml").read_text()
    assert 'networks = ["own_teacher:bicubic"]' in recipe
    assert 'outputs = "online"' in recipe
