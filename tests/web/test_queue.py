"""The queue by itself: whose turn it is, and how long a turn may be."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import pytest

from dvmsr.errors import RequestError
from dvmsr.web import Limits
from dvmsr.web.networks import Networks
from dvmsr.web.pictures import Picture, State, safe_name
from dvmsr.web.queue import WorkQueue
from dvmsr.web.sessions import Sessions
from dvmsr.web.settings import Settings


@pytest.fixture(scope="module")
def networks():
    return Networks(threads=1)


@pytest.fixture
def make_queue(tmp_path, networks):
    """Make a queue, and what adds a picture to a session."""
    queues = []

    def make(**limits):
        chosen = replace(Limits(), **limits)
        sessions = Sessions(tmp_path, chosen)
        queues.append(WorkQueue(networks, sessions, chosen))

        def add(session, path):
            picture = Picture(session, path.name)
            picture.source.parent.mkdir(parents=True)
            shutil.copy(path, picture.source)
            sessions.add(picture)
            return picture

        return queues[-1], sessions, add

    yield make
    for queue in queues:
        queue.close()


def ended(picture):
    deadline = time.monotonic() + 30
    while picture.at_work:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return picture.state


def test_a_picture_that_takes_too_long_is_stopped(make_queue, pictures, networks, monkeypatch):
    # As on a machine that has become slow since its speed was measured.
    monkeypatch.setattr(networks, "pixel_seconds", 0.0)
    queue, sessions, add = make_queue(seconds=0.12)
    picture = add(sessions.open(), pictures["large.png"])
    queue.add(picture, Settings())
    assert ended(picture) is State.FAILED
    assert picture.error.startswith("large.png took longer than the 0.002 minutes that are allowed")
    assert not list(picture.result_folder.glob("**/*.png"))


def test_a_picture_that_would_take_too_long_is_not_begun(make_queue, pictures):
    queue, sessions, add = make_queue(seconds=0.001)
    picture = add(sessions.open(), pictures["middle.png"])
    with pytest.raises(RequestError, match=r"middle.png would take about 0 minutes, and .* choose a smaller"):
        queue.add(picture, Settings())
    assert picture.state is State.READY


def test_turns(make_queue, pictures):
    """Who has waited longest for a turn is next, and each person's in their order."""
    queue, sessions, add = make_queue()
    first, second, third = sessions.open(), sessions.open(), sessions.open()
    blocking = add(first, pictures["large.png"])
    queue.add(blocking, Settings())
    while blocking.state is not State.RUNNING:
        time.sleep(0.01)
    waiting = [add(owner, pictures["cat.png"]) for owner in (first, first, second, third, second)]
    for picture in waiting:
        queue.add(picture, Settings())
    with sessions.lock:
        order = [waiting.index(picture) for picture in queue._in_turn()]
    assert order == [2, 3, 0, 4, 1]
    left = queue.seconds_left(second)
    assert left[waiting[2]] < left[waiting[4]]
    with pytest.raises(RequestError, match="in the queue already"):
        queue.add(waiting[0], Settings())
    for picture in (*waiting, blocking):
        queue.cancel(picture)
        assert ended(picture) is State.CANCELLED
    assert len(queue) == 0


def test_what_goes_wrong_unforeseen_is_one_pictures(make_queue, pictures, monkeypatch):
    queue, sessions, add = make_queue()
    session = sessions.open()
    one, other = add(session, pictures["cat.png"]), add(session, pictures["cat.png"])
    enlarge = queue._enlarge

    def fail(picture):
        if picture is one:
            raise ZeroDivisionError("so it is")
        return enlarge(picture)

    monkeypatch.setattr(queue, "_enlarge", fail)
    for picture in (one, other):
        queue.add(picture, Settings())
    assert (ended(one), ended(other)) == (State.FAILED, State.DONE)
    assert one.error == "cat.png: something went wrong inside (ZeroDivisionError: so it is)"
    assert queue.alive


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.JPG", "photo.JPG"),
        ("C:\\pictures\\a b.png", "a b.png"),
        ("../../etc/passwd", "passwd"),
        (".hidden.png", "hidden.png"),
        ("", "picture"),
        (".png", "png"),
        ("a\nb\x1b[31m.png", "a_b_[31m.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("e\u0301.png", "\u00e9.png"),
        ("x" * 300 + ".webp", "x" * 150 + ".webp"),
        ("\u20ac" * 300 + ".tif", "\u20ac" * 50 + ".tif"),
        ("name.with-a-very-long-ending", "name.with-a-very-long-ending"),
    ],
)
def test_names(given, kept):
    assert safe_name(given) == kept
