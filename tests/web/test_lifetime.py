"""How long files are kept, and what becomes of them when the server ends, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from dvmsr.web.folders import bytes_in, remove_abandoned, server_folder


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_browser_is_opened_on_it(tmp_path):
    """Python's own way to name a browser, here one that notes what it is to open and looks there."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(
        f'#!/bin/sh\ncurl --silent --noproxy "*" "$1" > "{tmp_path}/page"\necho "$1" > "{opened}"\n'
    )
    browser.chmod(0o755)
    command = [sys.executable, "-c", "from dvmsr.cli import main; main()", "web", "--threads", "1"]
    server = subprocess.Popen(
        [*command, "--port", "0", "--folder", tmp_path / "pages"],
        env={**os.environ, "BROWSER": str(browser), "DISPLAY": ":0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: opened.exists() and opened.read_text())
        assert f"dvmsr is at {opened.read_text().strip()} until" in server.stdout.readline()
        assert "<title>dvmsr</title>" in (tmp_path / "page").read_text()
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ends_amid_work_and_leaves_nothing(start_server, tmp_path, pictures, number, code, connect):
    server = start_server(folder=tmp_path)
    client = connect(server)
    _, added = client.add(pictures["large.png"])
    client.json("POST", f"api/pictures/{added['id']}/enlarge", {})
    client.wait(added, "running")
    ended, errors = server.end(number)
    assert ended == code
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_after_a_kill_the_next_start_removes_what_is_left(start_server, tmp_path, pictures, connect):
    killed = start_server(folder=tmp_path)
    assert connect(killed).add(pictures["cat.png"])[0] == 201
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(killed.files) == 1
    with server_folder(tmp_path) as living:
        (living / "picture").write_text("")
        assert [path.name for path in killed.files] == ["picture"]
        start_server(folder=tmp_path)
        assert (living / "picture").exists()


def test_files_go_when_nobody_asks_any_more(start_server, tmp_path, pictures, connect):
    server = start_server("--keep-minutes", "0.05", folder=tmp_path)
    client = connect(server)
    _, added = client.add(pictures["middle.png"])
    client.json("POST", f"api/pictures/{added['id']}/enlarge", {})
    # While there is work it stays, asked for or not; then it goes.
    until(lambda: [path for path in server.files if path.name == "middle_x4.png"])
    until(lambda: not server.files)
    assert client.pictures() == []


def test_folders_are_this_users_alone(tmp_path):
    with server_folder(tmp_path / "root") as folder:
        assert folder.stat().st_mode & 0o077 == 0
        assert (tmp_path / "root").stat().st_mode & 0o077 == 0
        (folder / "file").write_text("")
        remove_abandoned(tmp_path / "root")
        assert (folder / "file").exists()
    assert list((tmp_path / "root").iterdir()) == []


def test_folders_that_vanish_while_they_are_counted(tmp_path):
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            (tmp_path / "a" / "b" / "c").mkdir(parents=True)
            shutil.rmtree(tmp_path / "a")

    (tmp_path / "file").write_bytes(b"12345")
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        assert {bytes_in(tmp_path) for _ in range(5000)} == {5}
    finally:
        stop.set()
        thread.join()


def test_nothing_else_in_the_root_is_touched(tmp_path):
    (tmp_path / "server-mine").mkdir()
    (tmp_path / "holiday.jpg").write_text("")
    orphan = tmp_path / "server-0123456789abcdef"
    orphan.mkdir()
    (orphan / "picture").write_text("")
    with server_folder(tmp_path):
        assert not orphan.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holiday.jpg", "server-mine"]
