"""What the system refuses is one line, too."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

from dvmsr.errors import is_lack_of_memory

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_standard_error_that_is_full(network, tmp_path):
    """What is asked for is done, with the exit code that it has."""
    pyvips.Image.black(9, 9, bands=3).copy(interpretation="srgb").write_to_file(str(tmp_path / "photo.png"))
    command = [*COMMAND, "upscale", *network, "photo.png"]
    codes = []
    with Path("/dev/full").open("w") as full:
        # The second is told that it has been done before, the third that there is no such file.
        for names in ([], [], ["none.png"]):
            done = subprocess.run(
                [*command, *names], stdout=subprocess.DEVNULL, stderr=full, cwd=tmp_path, check=False
            )
            codes.append(done.returncode)
    assert codes == [0, 0, 2]
    assert (tmp_path / "photo_x4.png").exists()


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


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_that_are_closed(network, tmp_path, closed):
    """What is asked for is done, and what would have been said gets into no file."""
    for name in ("photo.png", "damaged.png"):
        pyvips.Image.black(9, 9, bands=3).copy(interpretation="srgb").write_to_file(str(tmp_path / name))
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    targets = {}
    for name, redirection in (("open", ""), ("closed", closed)):
        out = tmp_path / name
        command = [*COMMAND, "upscale", *network, "photo.png", "damaged.png", "-o", str(out)]
        line = f"{shlex.join(command)} {redirection}"
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        targets[name] = {path.name: path.read_bytes() for path in out.iterdir()}
    assert targets["closed"] == targets["open"]
    assert targets["closed"].keys() == {"photo_x4.png"}


def test_a_wide_image_within_a_limit_on_address_space(tmp_path):
    """As ``ulimit -v`` sets it. A C library would reserve more for the threads than the whole image needs."""
    if not sys.platform.startswith("linux"):
        pytest.skip("what a process takes is read from /proc, which is Linux's")
    source, target = tmp_path / "wide.png", tmp_path / "wide_x4.png"
    pyvips.Image.black(6_000, 24, bands=3).copy(interpretation="srgb").write_to_file(str(source))
    program = r"""
import re, resource
from pathlib import Path
import dvmsr.cli.commands, dvmsr.batch, dvmsr.engine, dvmsr.inference.upscaler
size = int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), -1))
from dvmsr.cli import main
main()
"""
    command = [sys.executable, "-c", program, "upscale", source, "--threads", "2", "--model", "clean"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    high = pyvips.Image.new_from_file(str(target))
    assert (high.width, high.height) == (24_000, 96)


def test_blocks_that_come_and_go_within_a_limit_on_address_space():
    """What is free between others would not do for somewhat larger ones, and would stay reserved."""
    if not sys.platform.startswith("linux"):
        pytest.skip("what a process takes is read from /proc, which is Linux's")
    program = r"""
import re, resource
from pathlib import Path
import numpy as np
from dvmsr.cli.address_space import reserve_little
def size():
    return int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, -1))
reserve_little()
# By default, one that was freed tells glibc to have such ones in its pool from then on.
block = np.empty(30 << 20, np.uint8)
del block
before = size()
blocks = [np.empty(8 << 20, np.uint8) for _ in range(20)]
del blocks[::2]
blocks += [np.empty(9 << 20, np.uint8) for _ in range(10)]
print(size() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 180 << 20


def test_lack_of_memory(benchmark_set, network):
    """Foretold for an image; else of Python's own kind, wherever it comes from."""
    for kind, side in (("LR", 4_000), ("HR", 16_000)):
        pyvips.Image.black(side, side).write_to_file(str(benchmark_set / kind / "one.png"))
    program = r"""
import re, resource
from pathlib import Path
import numpy, pyvips, dvmsr.evaluation.benchmark, dvmsr.inference.upscaler
size = int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (40 << 20), -1))
from dvmsr.cli import main
main()
"""
    command = [sys.executable, "-c", program, "evaluate", str(benchmark_set), *network]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"dvmsr: error: (not enough memory \(Unable to allocate [^\n]+\); free some"
        r"|[^\n]+: needs about \d+ MiB of memory, and \d+ MiB are free; [^\n]+)\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("shapes do not match"), False),
        (OSError("out of memory"), False),
    ],
)
def test_what_is_lack_of_memory(error, lack):
    assert is_lack_of_memory(error) is lack
