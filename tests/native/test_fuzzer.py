"""Random networks and images through the native code, under AddressSanitizer and UndefinedBehaviorSanitizer.

The cases are the same on every machine and in every run; how many of them fit into the time is not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzzer"
SEED = "1"
# For all instruction sets together.
SECONDS = 60

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cmake", "g++")),
    reason="cmake or g++ is missing: apt install cmake g++",
)


@pytest.fixture(scope="module")
def instruction_sets():
    """Those that this processor and this build have."""
    program = "from dvmsr.engine import instruction_set; instruction_set()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DVMSR_INSTRUCTION_SET": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    return re.findall(r"\w+", done.stderr.splitlines()[-1].rpartition(":")[2])


@pytest.fixture(scope="module")
def fuzzer(instruction_sets):
    """The program, with the sets that can run here."""
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_COMPILER": "g++",
        # And memory that a stage has not written itself is no number.
        "CMAKE_CXX_FLAGS": "-fsanitize=address,undefined -fno-sanitize-recover=all -DDVMSR_POISON -Werror",
        "DVMSR_TEST_PROGRAM": "fuzzer",
        "DVMSR_INSTRUCTION_SETS": ";".join(instruction_sets),
        # More of it takes minutes.
        "DVMSR_KERNEL_OPTIMIZATION": "-O1",
    }
    definitions = [f"-D{key}={value}" for key, value in settings.items()]
    for command in (
        ["cmake", "-S", ROOT, "-B", BUILD, *definitions],
        ["cmake", "--build", BUILD, "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "fuzzer"


def test_random_networks(fuzzer, instruction_sets):
    """The same bits for any cut and threads, integers as floats, and nothing for a sanitizer to tell."""
    for name in instruction_sets:
        done = subprocess.run(
            [fuzzer, SEED, str(SECONDS / len(instruction_sets))],
            env=os.environ | {"DVMSR_INSTRUCTION_SET": name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        found, cases = done.stdout.split()
        assert found == name
        assert int(cases) > 0
