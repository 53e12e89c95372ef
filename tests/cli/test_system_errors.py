"""What the system refuses is one line, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from dvmsr.cli import main; main()"]
PRINTING = [["info"], ["info", "--help"], ["--help"], ["--version"]]
LONG = "x" * 300 + ".png"


@pytest.mark.parametrize(
    "arguments",
    [
        ("upscale", LONG),
        ("upscale", "photo.png", "-o", LONG),
        ("evaluate", "folder", "--json", LONG),
    ],
    ids=lambda arguments: " ".join(arguments)[:24],
)
def test_name_that_is_too_long(dvmsr, network, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, out, err = dvmsr(*arguments, *network)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"dvmsr: error: {re.escape(LONG)}: File name too long\n", err)


def test_debug_shows_the_traceback(network, tmp_path):
    command = [*COMMAND, "upscale", LONG, *network, "--debug"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_standard_output_that_is_full(arguments):
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "dvmsr: error: No space left on device\n")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_reader_that_has_gone_is_no_matter(arguments):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write_end)
    assert done.stderr == ""
    assert done.returncode != 0
