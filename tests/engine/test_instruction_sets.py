"""The tests of the arithmetic on every instruction set. All other tests have the best one only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def run(instructions, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"DVMSR_INSTRUCTION_SET": instructions},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def instruction_sets():
    """Those that this processor has, best first, as the message about an unknown one lists them."""
    done = run("none", "-c", "from dvmsr.engine import instruction_set; instruction_set()")
    return re.findall(r"\w+", done.stderr.splitlines()[-1].rpartition(":")[2])


def test_which_ones_multiply_bfloat16(instruction_sets):
    program = "from dvmsr._native import multiplies_bfloat16; print(multiplies_bfloat16())"
    for name in instruction_sets:
        assert run(name, "-c", program).stdout == f"{name in ('amx', 'avx512_bf16')}\n"


def test_arithmetic(instruction_sets):
    assert instruction_sets[-1] == "baseline"
    for name in instruction_sets[1:]:
        program = "import pytest, sys, dvmsr.engine as e; print(e.instruction_set()); sys.exit(pytest.main())"
        folders = [TESTS / "engine", TESTS / "kernels"]
        # The GPU's form knows no instruction sets, and its interpreter is slow.
        chosen = ["-m", "arithmetic", "-k", "not gpu"]
        done = run(name, "-c", program, "-q", *chosen, "-p", "no:cacheprovider", *folders)
        assert done.stdout.startswith(f"{name}\n")
        assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"
