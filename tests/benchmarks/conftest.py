"""What the tests of the scripts in benchmarks/ share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script by its name with arguments; a warning is an error."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", FOLDER / name, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run
