"""Files appear whole or not at all, and what killed processes have left is removed, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dvmsr import atomic
from dvmsr.atomic import remove_abandoned, remove_unfinished, unfinished_file, write_atomically

# Begins a file in a folder and waits in the middle of it.
WRITER = """
import sys, time
from pathlib import Path
from dvmsr.atomic import unfinished_file
with unfinished_file(Path(sys.argv[1]), ".png") as path:
    path.write_bytes(b"half")
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """Another process in the middle of a file, and the file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    path = tmp_path / process.stdout.readline().strip()
    yield process, path
    process.kill()
    process.communicate()


def write_half(target, error):
    with write_atomically(target) as file:
        file.write(b"ne")
        file.flush()
        if target.exists():
            assert target.read_bytes() == b"old"
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_half_a_file_is_never_seen(tmp_path, error):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(error):
        write_half(target, error)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_the_users_mask_holds(tmp_path):
    program = """
import os, sys
from pathlib import Path
from dvmsr.atomic import write_atomically
os.umask(0o027)
with write_atomically(Path(sys.argv[1])) as file:
    file.write(b"new")
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=True)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_killed_process_leaves_what_the_next_one_removes(tmp_path, writer):
    process, path = writer
    process.kill()
    process.wait()
    assert path.read_bytes() == b"half"
    atomic._swept.discard(tmp_path)
    with write_atomically(tmp_path / "file") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_living_process_keeps_its_file(tmp_path, writer):
    process, path = writer
    remove_abandoned(tmp_path)
    assert path.read_bytes() == b"half"
    # Stopped is not dead.
    process.send_signal(signal.SIGSTOP)
    remove_abandoned(tmp_path)
    assert path.exists()
    process.send_signal(signal.SIGCONT)


def test_so_does_this_one(tmp_path):
    with unfinished_file(tmp_path) as path:
        remove_abandoned(tmp_path)
        assert path.exists()


def test_other_files_are_nobody_of_ours(tmp_path):
    names = [
        ".dvmsr-notes",
        ".dvmsr-0123456789abcdef.tar.gz",
        "dvmsr-0123456789abcdef.png",
        ".hidden",
        "x.png",
    ]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".dvmsr-0123456789abcde0.png").mkdir()
    (tmp_path / ".dvmsr-0123456789abcde1.png").symlink_to("x.png")
    before = sorted(tmp_path.iterdir())
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    remove_abandoned(tmp_path / "there is none")


def test_one_taken_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """Between the two lines of its making, another process may hold it for a dead one's."""
    lock = atomic.fcntl.flock
    taken = []

    def lock_late(descriptor, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(atomic.fcntl, "flock", lock_late)
    with unfinished_file(tmp_path) as path:
        assert path.exists()
        assert path not in taken
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(atomic.fcntl, "flock", fail)
    with unfinished_file(tmp_path) as path:
        remove_abandoned(tmp_path)
        assert path.exists()
    assert list(tmp_path.iterdir()) == []


def test_many_at_once(tmp_path):
    def write(number):
        with write_atomically(tmp_path / f"{number % 7}") as file:
            remove_abandoned(tmp_path)
            file.write(b"whole")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    assert sorted(path.name for path in tmp_path.iterdir()) == list("0123456")
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"whole"}


def test_all_of_this_process_are_removed_at_once(tmp_path):
    with unfinished_file(tmp_path) as first, unfinished_file(tmp_path, ".png") as second:
        remove_unfinished()
        assert not first.exists()
        assert not second.exists()
    assert not atomic._unfinished
