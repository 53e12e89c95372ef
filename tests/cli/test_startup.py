"""What starting the command costs, counted in modules: nothing is imported that the command does not use."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import pyvips

COMMANDS = ("upscale", "web", "evaluate", "info", "train", "distill", "finetune")

# At the very end, so that what main() and its libraries leave to the exit is counted, too.
PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from dvmsr.cli import main
main()
"""


def modules_of(*arguments):
    """Names of what a command line has imported by its end, and of the packages that they are in."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("startup") / "photo.png"
    pyvips.Image.black(4, 4, bands=3).copy(interpretation="srgb").write_to_file(str(path))
    return path


@pytest.fixture(scope="module")
def upscale_modules(photo, network):
    modules = modules_of("upscale", *network, photo)
    assert photo.with_name("photo_x4.png").exists()
    return modules


@pytest.mark.parametrize(
    "name",
    [
        # Heavy, and for a bar, a table, a help text, or training.
        "rich",
        "torch",
        "PIL",
        "scipy",
        "dvmsr.evaluation",
        "dvmsr.model",
        "dvmsr.training",
    ],
)
def test_upscale_does_without(upscale_modules, name):
    assert name not in upscale_modules


def test_upscale_has_what_it_uses(upscale_modules):
    assert {"dvmsr.cli.upscale", "dvmsr._native", "numpy", "pyvips", "safetensors"} <= upscale_modules


def test_version_needs_nothing_that_computes():
    assert modules_of("--version").isdisjoint({"numpy", "pyvips", "rich", "dvmsr._native"})


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(dvmsr, command):
    code, out, err = dvmsr(command, "--help")
    assert (code, err) == (0, "")
    assert re.search(rf"Usage: .*dvmsr {command} \[OPTIONS\]", out)


def test_help_names_every_command(dvmsr):
    code, out, err = dvmsr("--help")
    assert (code, err) == (0, "")
    named = [line.split()[1] for line in out.partition("Commands")[2].splitlines() if line.startswith("│ ")]
    assert [name for name in named if name in COMMANDS] == list(COMMANDS)


def test_an_error_after_the_work_began_is_one_line(photo, network):
    """Native objects that are left at the very end would be told of there."""
    command = [sys.executable, "-c", PROGRAM, "upscale", *network, str(photo), "-o", "/proc/high.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"dvmsr: error: [^\n]+\n", done.stderr)


def test_no_command_is_the_help_text(dvmsr):
    code, out, err = dvmsr()
    assert (code, err) == (2, "")
    assert re.search(r"Usage: .*dvmsr \[OPTIONS\] COMMAND", out)


def test_unknown_command_is_one_line(dvmsr):
    code, out, err = dvmsr("upscal")
    assert (code, out) == (2, "")
    assert err == "dvmsr: error: No such command 'upscal'. Did you mean 'upscale'? (see dvmsr --help)\n"
