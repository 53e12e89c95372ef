"""Ctrl-C, SIGTERM and SIGHUP at every moment of a command: no traceback, nothing left, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig
from dvmsr.weights import parameter_shapes, save_weights

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# Without a shell's habit of shielding what runs in the background.
START = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
number = int(os.environ["NUMBER"])
"""

# Raises the signal at the moment when a module is imported.
AT_IMPORT = """
class Finder:
    def find_spec(self, name, *_):
        if name == os.environ["MODULE"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)
            for _ in range(int(os.environ["MORE"])):
                os.kill(os.getpid(), number)

sys.meta_path.insert(0, Finder())
"""

MAIN = "from dvmsr.cli import main; main()\n"


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    path = tmp_path / "photo.png"
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(path))
    return path


def run(program, *arguments, number, **environment):
    return subprocess.run(
        [sys.executable, "-c", START + program, *map(str, arguments)],
        env=os.environ | {"NUMBER": str(int(number)), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_ended_by(done, number):
    assert done.returncode == 128 + number
    assert done.stderr == ("dvmsr: interrupted\n" if number == signal.SIGINT else "")


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize(
    "module",
    [
        "typer",
        "dvmsr.cli.train",
        "dvmsr.cli.upscale",
        "numpy",
        "dvmsr._native",
        "pyvips",
        "safetensors",
        "dvmsr.images.encoding",
    ],
)
def test_while_it_starts(photo, network, module, more):
    """Once, and three times in a row."""
    for number in NUMBERS if module == "typer" else [signal.SIGINT]:
        done = run(AT_IMPORT + MAIN, "upscale", *network, photo, number=number, MODULE=module, MORE=str(more))
        assert_ended_by(done, number)
        assert not photo.with_name("photo_x4.png").exists()


@pytest.mark.parametrize("number", NUMBERS)
def test_when_all_is_done(photo, network, number):
    """Python's own end takes some milliseconds more."""
    at_exit = "import atexit; atexit.register(lambda: os.kill(os.getpid(), number))\n"
    done = run(at_exit + MAIN, "upscale", *network, photo, number=number)
    assert done.returncode == -number
    assert done.stderr == ""
    assert photo.with_name("photo_x4.png").exists()


def test_an_exception_that_a_callback_loses_ends_it_none_the_less(photo, network):
    """Python prints it there, and goes on."""
    program = """
import dvmsr.inference.upscaler, time

class Loses:
    def __del__(self):
        os.kill(os.getpid(), number)

def stream(*_, **__):
    Loses()
    time.sleep(60)

sys.unraisablehook = lambda _: None
dvmsr.inference.upscaler.Upscaler.stream = stream
"""
    begin = time.monotonic()
    done = run(program + MAIN, "upscale", *network, photo, number=signal.SIGTERM)
    assert_ended_by(done, signal.SIGTERM)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("late", [False, True])
def test_inside_a_library_that_does_not_come_back(photo, network, tmp_path, late):
    """An encoder that takes minutes: the file that it was writing is gone, and so is the process.

    Also where the encoder opens it by its name just after it was removed.
    """
    program = """
from pathlib import Path

def unlink_and_open(path, **options):
    Path.unlink = unlink
    unlink(path, **options)
    if os.environ["LATE"]:
        path.touch()

unlink, Path.unlink = Path.unlink, unlink_and_open
import dvmsr.images.writing, hashlib, threading

def encode(*arguments):
    [path] = [argument for argument in arguments if str(argument).rpartition("/")[2].startswith(".dvmsr-")]
    path.write_bytes(b"half")
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

dvmsr.images.writing.encode = encode
"""
    out = tmp_path / "out"
    begin = time.monotonic()
    arguments = ("upscale", *network, photo, "-o", out / "x.png")
    done = run(program + MAIN, *arguments, number=signal.SIGTERM, LATE="yes" if late else "")
    assert_ended_by(done, signal.SIGTERM)
    assert time.monotonic() - begin < 30
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_second_one_while_it_tidies_up(photo, network, tmp_path, number):
    program = """
import contextlib, dvmsr.images.writing

@contextlib.contextmanager
def unfinished_file(*arguments):
    with unfinished(*arguments) as path:
        try:
            os.kill(os.getpid(), number)
            yield path
        finally:
            os.kill(os.getpid(), number)

unfinished, dvmsr.images.writing.unfinished_file = dvmsr.images.writing.unfinished_file, unfinished_file
"""
    out = tmp_path / "out"
    done = run(program + MAIN, "upscale", *network, photo, "-o", out / "x.png", number=number)
    assert_ended_by(done, number)
    # On a busy machine the small image can be whole before the first one is heard.
    assert [path.name for path in out.iterdir()] in ([], ["x.png"])


@pytest.mark.parametrize("number", NUMBERS)
def test_one_that_comes_just_before_a_file_is_removed(photo, network, tmp_path, number):
    program = """
from pathlib import Path

def kill(*arguments, **options):
    Path.unlink = unlink
    signal.raise_signal(number)
    unlink(*arguments, **options)

unlink, Path.unlink = Path.unlink, kill
"""
    out = tmp_path / "out"
    done = run(program + MAIN, "upscale", *network, photo, "-o", out / "x.png", number=number)
    assert_ended_by(done, number)
    assert [path.name for path in out.iterdir()] == ["x.png"]


@pytest.mark.parametrize("number", NUMBERS)
def test_what_was_ignored_stays_ignored(photo, network, number):
    """As by nohup, and in a shell's background."""
    program = "signal.signal(number, signal.SIG_IGN)\n"
    done = run(
        program + AT_IMPORT + MAIN,
        "upscale",
        *network,
        photo,
        number=number,
        MODULE="dvmsr.images.encoding",
        MORE="0",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert photo.with_name("photo_x4.png").exists()


def test_ctrl_c_is_heard_soon_in_the_middle_of_a_wide_image(tmp_path):
    """One block of its rows takes this network half a minute on two cores, and one thread a minute."""
    source, out, weights = tmp_path / "wide.png", tmp_path / "out", tmp_path / "wide.safetensors"
    config = NetworkConfig(channels=240)
    shapes = parameter_shapes(config)
    save_weights(weights, {name: np.full(shape, 1e-3, np.float32) for name, shape in shapes.items()}, config)
    pyvips.Image.black(16_000, 64, bands=3).copy(interpretation="srgb").write_to_file(str(source))
    program = [sys.executable, "-c", START + MAIN, "upscale"]
    command = [*program, str(source), "-o", str(out / "high.png"), "--weights", str(weights)]
    process = subprocess.Popen(
        command, env=os.environ | {"NUMBER": "2"}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (out.exists() and list(out.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=25)
    finally:
        process.kill()
    # Beside what the work was foretold to take.
    lines = [line for line in err.splitlines() if not line.startswith(f"{source}: ")]
    assert (process.returncode, lines) == (130, ["dvmsr: interrupted"])
    assert list(out.iterdir()) == []


def test_children_that_are_ended_do_not_end_the_parent(photo, network):
    """A forked process inherits what listens for signals."""
    program = """
import dvmsr.inference.upscaler, time
stream = dvmsr.inference.upscaler.Upscaler.stream

def forking(*arguments, **settings):
    child = os.fork()
    if child == 0:
        try:
            time.sleep(60)
        finally:
            os._exit(0)
    time.sleep(0.3)
    os.kill(child, number)
    os.waitpid(child, 0)
    time.sleep(4)
    return stream(*arguments, **settings)

dvmsr.inference.upscaler.Upscaler.stream = forking
"""
    done = run(program + MAIN, "upscale", *network, photo, number=signal.SIGTERM)
    assert (done.returncode, done.stderr) == (0, "")
