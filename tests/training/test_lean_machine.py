"""Training on a machine with no compiled extension and no libvips."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from dvmsr.training import TeacherSettings
from dvmsr.training.recipe import to_toml

PROGRAM = """
import sys
sys.modules["pyvips"] = None
sys.modules["dvmsr._native"] = None
from dvmsr.cli import main
main()
"""


def test_distillation(small_config, teacher_weights, benchmark_set, tmp_path):
    config = replace(
        small_config,
        teacher=TeacherSettings(weights=(str(teacher_weights()),)),
        run=replace(small_config.run, steps=2),
        monitor=replace(small_config.monitor, validation=(str(benchmark_set),)),
    )
    (tmp_path / "recipe.toml").write_text(to_toml(config))
    arguments = ["distill", "--recipe", str(tmp_path / "recipe.toml"), "--output", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "step 2: Tiny" in done.stderr
    assert (tmp_path / "run" / "weights.safetensors").exists()
