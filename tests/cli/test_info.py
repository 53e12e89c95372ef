from __future__ import annotations

import re

import numpy as np
import pytest

from dvmsr import STUDENT
from dvmsr.engine import instruction_set
from dvmsr.weights import parameter_shapes, save_weights


@pytest.fixture
def student(tmp_path):
    path = tmp_path / "student.safetensors"
    save_weights(path, {name: np.zeros(shape) for name, shape in parameter_shapes(STUDENT).items()}, STUDENT)
    return path


def cells(line):
    return [cell.strip() for cell in re.split("[│|]", line)[1:-1]]


def test_student(dvmsr, student):
    code, out, err = dvmsr("info", "--weights", student, "--threads", 3)
    assert (code, err) == (0, "")
    rows = [cells(line) for line in out.splitlines()]
    assert ["channels", "60"] in rows
    assert ["instruction set", instruction_set()] in rows
    assert ["threads", "3"] in rows
    assert ["all", "424,428", "30.667", "100.0%"] in rows
    assert ["ViMM scan", "16,320", "4.152", "13.5%"] in rows


def test_macs_are_those_of_the_size(dvmsr, student):
    _, out, _ = dvmsr("info", "--weights", student, "--size", "512x256")
    assert ["all", "424,428", "61.334", "100.0%"] in [cells(line) for line in out.splitlines()]


@pytest.mark.parametrize("size", ["256", "0x9", "axb", "-1x4"])
def test_wrong_size(dvmsr, student, size):
    code, _, err = dvmsr("info", "--weights", student, f"--size={size}")
    assert code == 2
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", err)


def test_the_table_of_challenges(dvmsr, student):
    code, out, err = dvmsr("info", "--weights", student, "--table", "--size", "32x32", "--threads", 1)
    assert (code, err) == (0, "")
    rows = [cells(line) for line in out.splitlines()]
    assert ["parameters", "424,428", "317,218"] in rows
    assert ["G MACs, the fused scan uncounted", "0.32", "0.31"] in rows
    assert ["G MACs, all counted", "0.48", "0.31"] in rows
    assert ["of these the scan alone", "0.06", "0.00"] in rows
    assert ["M activations", "0.42", "1.25"] in rows
    seconds, memory = (
        [*map(float, row[1:])] for row in rows if row and row[0].startswith(("seconds", "peak"))
    )
    assert min(seconds) > 0
    assert min(memory) > 30
