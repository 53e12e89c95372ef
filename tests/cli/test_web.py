"""``dvmsr web`` before the page is there: where it listens and what it refuses."""

from __future__ import annotations

import inspect
import socket
import sys

import pytest

from dvmsr.cli.web import web
from dvmsr.web import Address, Limits


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines: give --user and --password; or"),
        (["--host", "::"], ":: can be reached from other machines"),
        (["--user", "me"], "expected both --user and --password, or neither"),
        (["--host", "0.0.0.0", "--password", "a"], "expected both --user and --password, or neither"),
        (["--user", "a:b", "--password", "c"], "expected a --user without a colon"),
        (["--host", "no.such.name.invalid"], "no.such.name.invalid: is no name or address of this machine"),
    ],
)
def test_refuses_to_listen(dvmsr, arguments, sentence):
    code, out, err = dvmsr("web", "--no-browser", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"dvmsr: error: {sentence}")
    assert err.count("\n") == 1


def test_a_port_that_is_taken(dvmsr):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = dvmsr("web", "--no-browser", "--port", port)
    assert code == 2
    assert f"127.0.0.1: cannot listen on port {port}: Address already in use; choose another" in err


def test_the_next_port_that_is_free(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("dvmsr.web.server.DEFAULT_PORT", port)
        with Address().bind() as found:
            assert found.getsockname()[1] > port


def test_a_folder_that_cannot_be_written_to(dvmsr, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = dvmsr("web", "--no-browser", "--port", 0, "--folder", tmp_path / "file")
    assert code == 2
    assert "file: the pictures cannot be kept there" in err
    assert "--folder" in err


def test_weights_that_are_none(dvmsr, tmp_path):
    (tmp_path / "no.safetensors").write_text("")
    code, _, err = dvmsr("web", "--no-browser", "--weights", tmp_path / "no.safetensors")
    assert code == 2
    assert err.count("\n") == 1


def test_missing_extra(dvmsr, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = dvmsr("web", "--no-browser")
    assert code == 2
    assert "the page needs uvicorn: run pip install '.[web]'" in err


def test_limits_are_those_of_the_page():
    defaults = {name: parameter.default for name, parameter in inspect.signature(web).parameters.items()}
    limits = Limits()
    mebi = 1 << 20
    assert defaults["max_file"] * mebi == limits.file_bytes
    assert defaults["max_pixels"] == limits.pixels
    assert defaults["max_queue"] == limits.queue
    assert defaults["max_pictures"] == limits.pictures
    assert defaults["max_minutes"] * 60 == limits.seconds
    assert defaults["max_stored"] * mebi == limits.stored_bytes
    assert defaults["max_all_stored"] * mebi == limits.all_stored_bytes
    assert defaults["max_people"] == limits.sessions
    assert defaults["keep_minutes"] * 60 == limits.idle_seconds
