from __future__ import annotations

import pytest

from dvmsr.cli import progress_display
from dvmsr.cli.progress_display import ProgressDisplay


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_display.time, "monotonic", lambda: now[0])
    return now


def test_now_and_then_a_line(clock, capsys):
    display = ProgressDisplay("cat.png", lambda pixels: f"{pixels:g} pixels")
    display.start()
    for seconds, finished in ((4, 100), (10, 250), (15, 300), (20, 500), (31, 1000)):
        clock[0] = 100.0 + seconds
        display.update("cat.png", finished, 1000)
    display.stop()
    assert capsys.readouterr().err.splitlines() == [
        "cat.png: 25 %, 25 pixels/s, 0:00:30 left",
        "cat.png: 50 %, 25 pixels/s, 0:00:20 left",
    ]


def test_the_rate_is_of_what_was_done_now(clock, capsys):
    display = ProgressDisplay("clip", lambda frames: f"{frames:g} frames")
    clock[0] = 110.0
    display.update("clip", 80, 100, fresh=20)
    clock[0] = 120.0
    display.update("clip", 90, None, fresh=30)
    assert capsys.readouterr().err.splitlines() == [
        "clip: 80 %, 2 frames/s, 0:00:10 left",
        "clip: 90 frames, 1.5 frames/s",
    ]
