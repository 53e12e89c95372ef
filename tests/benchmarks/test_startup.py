"""The scripts that measure the start and the installed size."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import installed_size

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "startup.py"


def test_measures_and_writes(tmp_path):
    output = tmp_path / "tiny.json"
    options = ("--side", "8", "--repeats", "1", "--output", str(output))
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {row["command"]: row for row in json.loads(output.read_text())["rows"]}
    assert list(rows) == ["import numpy, typer", "python", "dvmsr --version", "dvmsr upscale, 8x8"]
    assert rows["import numpy, typer"]["ratio"] == 1
    assert 0 < rows["python"]["seconds"] < rows["dvmsr upscale, 8x8"]["seconds"]


def test_sizes_are_those_of_the_files():
    site = Path(np.__file__).parents[1]
    sizes = installed_size.installed_bytes(site)
    assert not {name.split()[0] for name in sizes} & {"pip", "setuptools"}
    folders = ("numpy", "numpy.libs", f"numpy-{version('numpy')}.dist-info")
    files = (file for folder in folders for file in (site / folder).rglob("*"))
    # What was compiled since the installation is not pip's.
    want = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
    assert want <= sizes[f"numpy {version('numpy')}"] <= 1.5 * want
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)


def test_size_of_what_is_listed_and_gone_is_not_counted(tmp_path):
    (tmp_path / "some-1.dist-info").mkdir()
    (tmp_path / "some-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1\n")
    (tmp_path / "some-1.dist-info" / "RECORD").write_text("some.py,,\ngone.py,,\n")
    (tmp_path / "some.py").write_bytes(b"x" * 1000)
    assert installed_size.installed_bytes(tmp_path) == pytest.approx({"some 1": 1000})
