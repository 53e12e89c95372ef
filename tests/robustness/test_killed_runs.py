"""Folder runs that are killed at any moment, and disks and sources that fail in the middle."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import pyvips

COMMAND = [sys.executable, "-c", "from dvmsr.cli import main; main()"]
KILLS = 20


@pytest.fixture
def folder(tmp_path):
    """Photographs enough for a second of work."""
    path = tmp_path / "photographs"
    path.mkdir()
    rng = np.random.default_rng(0)
    for number, suffix in enumerate([".png", ".jpg", ".tif", ".webp"] * 3):
        pixels = rng.integers(0, 256, (40 + 3 * number, 60, 3), np.uint8)
        image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
        image.write_to_file(str(path / f"{number}{suffix}"))
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(folder, out, network, **settings):
    return subprocess.Popen(
        [*COMMAND, "upscale", str(folder), "-o", str(out), *network, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def test_killed_runs_go_on(folder, network, tmp_path):
    """Twenty kills, and then the files are those of a run that nobody killed, and nothing else is there."""
    begin = time.monotonic()
    process = start(folder, tmp_path / "whole", network)
    _, err = process.communicate(timeout=120)
    took = time.monotonic() - begin
    assert process.returncode == 0, err
    whole = contents(tmp_path / "whole")
    assert len(whole) == 12

    chance, out, left_something = random.Random(0), tmp_path / "out", 0
    for number in range(KILLS):
        if number % 4 == 0:
            # Anew, so that kills fall into every part of the work.
            shutil.rmtree(out, ignore_errors=True)
        process = start(folder, out, network)
        time.sleep(chance.uniform(0.2, 1) * took)
        process.kill()
        process.communicate()
        found = contents(out) if out.exists() else {}
        left_something += any(name.startswith(".") for name in found)
        for name, content in found.items():
            assert name.startswith(".dvmsr-") or content == whole[name], f"{name} is half done"
        if number % 4 == 3:
            process = start(folder, out, network)
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert contents(out) == whole
    # What the test stands on: some kills came in the middle of a file.
    assert left_something


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "avif"])
def test_a_disk_that_is_full(folder, network, tmp_path, kind):
    """As a limit on the size of files tells it: in the middle of writing."""
    out = tmp_path / "out"
    source = folder / "8.png"
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(source))

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [*COMMAND, "upscale", str(source), "-o", str(out), "--format", kind, *network]
    before = contents(folder)
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("dvmsr: error: ")
    assert done.stderr.count("\n") == 1
    assert list(out.iterdir()) == []
    assert contents(folder) == before


def test_sources_that_vanish_and_change(folder, network, tmp_path, ours):
    """While the run goes through them: each is enlarged as it was at one time, or refused in a line."""
    out, stop = tmp_path / "out", threading.Event()

    def meddle():
        chance, names = random.Random(0), sorted(folder.iterdir())
        whole = {path: path.read_bytes() for path in names}
        while not stop.is_set():
            path = chance.choice(names)
            what = chance.randrange(3)
            if what == 0:
                path.unlink(missing_ok=True)
            elif what == 1 and path.exists():
                os.truncate(path, chance.randrange(len(whole[path])))
            else:
                path.write_bytes(whole[path])
            time.sleep(0.002)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        for _ in range(3):
            process = start(folder, out, network)
            _, err = process.communicate(timeout=120)
            assert process.returncode in (0, 2), err
            assert "Traceback" not in err
            for line in err.splitlines():
                assert ours.fullmatch(line), line
    finally:
        stop.set()
        meddler.join()
    for path in out.iterdir() if out.exists() else ():
        pyvips.Image.new_from_file(str(path), fail_on="warning").avg()
        assert not path.name.startswith(".")
