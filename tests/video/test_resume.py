"""Runs that were ended in the middle, by whatever, and go on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import av
import pytest
from clips import Clip, read

from dvmsr.errors import VideoError
from dvmsr.video import VideoOptions, upscale_video


def packets(path):
    with av.open(str(path)) as file:
        return [(p.pts, p.duration, bytes(p)) for p in file.demux(video=0) if p.size]


def start(source, target, weights_file, *more, before=None):
    command = [sys.executable, "-m", "dvmsr", "video", source, "-o", target, "--weights", weights_file]
    options = ["--segment", "5", "--threads", "1", *more]
    return subprocess.Popen(
        [*map(str, command), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def wait_for(process, path, seconds=60.0):
    """Wait until a running process has made a file."""
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    assert path.exists()


@pytest.fixture
def long_clip(tmp_path):
    """Large enough for a kill to come in the middle; keyframes lie elsewhere than ends of segments."""
    times = [40 * n + 7 * (n % 3) for n in range(30)]
    return Clip(
        tmp_path / "in.mkv", width=96, height=64, times=times, audio=[{}], options={"g": "13", "bf": "2"}
    ).make()


def test_killed_runs_go_on(long_clip, tmp_path, weights_file):
    whole, target = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    first = start(long_clip, whole, weights_file)
    assert first.communicate()[0]
    parts = tmp_path / ".out.mp4.dvmsr"
    for number in (0, 3):
        killed = start(long_clip, target, weights_file)
        wait_for(killed, parts / f"{number:06d}.npz")
        killed.kill()
        killed.communicate()
        assert not target.exists()
    kept = len(list(parts.glob("*.npz")))
    last = start(long_clip, target, weights_file)
    _, told = last.communicate()
    assert last.returncode == 0
    assert f"goes on after {5 * kept} frames that were done before" in told
    assert packets(target) == packets(whole)
    assert read(target).packets == read(whole).packets
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mp4", "whole.mp4"]


def test_ctrl_c_keeps_what_is_done(long_clip, tmp_path, weights_file):
    target = tmp_path / "out.mp4"
    process = start(long_clip, target, weights_file)
    wait_for(process, tmp_path / ".out.mp4.dvmsr" / "000001.npz")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "frames are kept; the same command goes on after them" in told
    assert "Traceback" not in told
    assert not target.exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".dvmsr-")]


@pytest.fixture
def ended(upscaler, tmp_path):
    """A run that ends with an error after two segments: its source, target and options."""
    source = Clip(tmp_path / "in.mp4", frames=23, options={"g": "7"}).make()
    target, options = tmp_path / "out.mp4", VideoOptions(segment_frames=5, preset="ultrafast")

    def stop(progress):
        if progress.kept == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(upscaler, source, target, options, progress=stop)
    return source, target, options


def resumed(upscaler, ended):
    source, target, options = ended
    return upscale_video(upscaler, source, target, options).resumed


def test_goes_on_in_one_process(upscaler, ended, tmp_path):
    source, target, options = ended
    assert resumed(upscaler, ended) == 10
    upscale_video(upscaler, source, tmp_path / "whole.mp4", options)
    assert packets(target) == packets(tmp_path / "whole.mp4")


def test_a_damaged_segment_is_made_again(upscaler, ended, tmp_path):
    file = tmp_path / ".out.mp4.dvmsr" / "000001.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert resumed(upscaler, ended) == 5
    assert read(ended[1]).times == read(ended[0]).times


@pytest.mark.parametrize("change", ["options", "source", "network"])
def test_segments_of_something_else_are_not_taken(upscaler, shipped, ended, change):
    source, target, options = ended
    if change == "options":
        options = VideoOptions(segment_frames=5, preset="ultrafast", crf=30)
    elif change == "source":
        os.utime(source, (1, 1))
    by = shipped if change == "network" else upscaler
    assert upscale_video(by, source, target, options).resumed == 0


def test_a_source_that_cannot_be_entered_near_the_place(upscaler, ended, monkeypatch):
    # As of streams without an index: what is done is read again, and passed over.
    from dvmsr.video.source import VideoSource

    original = VideoSource.frames
    asked = []

    def frames(self, after=None):
        asked.append(after)
        # Beyond the place, as a wrong index leads to.
        yield from (f for f in original(self) if after is None or f.pts > after)

    monkeypatch.setattr(VideoSource, "frames", frames)
    assert resumed(upscaler, ended) == 10
    assert asked[-1] is None
    monkeypatch.undo()
    assert read(ended[1]).times == read(ended[0]).times


def test_progress_tells_the_size_within_a_segment(upscaler, tmp_path):
    source, sizes = Clip(tmp_path / "in.mp4").make(), []
    options = VideoOptions(codec="ffv1", segment_frames=8)
    tell = lambda progress: sizes.append(progress.bytes)  # noqa: E731
    upscale_video(upscaler, source, tmp_path / "out.mkv", options, progress=tell)
    assert len(sizes) == 12
    # Also where a segment ends, whose file is somewhat larger.
    assert sizes[0] > 0
    assert sizes == sorted(set(sizes))


def test_two_at_once_are_told(upscaler, tmp_path):
    source = Clip(tmp_path / "in.mp4").make()
    target = tmp_path / "out.mp4"

    def again(progress):
        if progress.fresh == 1:
            with pytest.raises(VideoError, match="another dvmsr is making this file"):
                upscale_video(upscaler, source, target)

    assert upscale_video(upscaler, source, target, progress=again).frames == 12


@pytest.mark.parametrize(("part", "kept"), [(0.1, 0), (0.7, 3)], ids=["in a segment", "in the file"])
def test_a_disk_that_is_full(upscaler, tmp_path, weights_file, part, kept):
    """As a limit on the size of files tells it. Afterwards the same command goes on."""
    source = Clip(tmp_path / "in.mkv", frames=12, width=48, height=32).make()
    target = tmp_path / "out.mkv"
    options = VideoOptions(segment_frames=5, codec="ffv1")
    limit = int(part * upscale_video(upscaler, source, tmp_path / "whole.mkv", options).bytes)

    def lower():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    more = ["--codec", "ffv1"]
    full = start(source, target, weights_file, *more, before=lower)
    _, told = full.communicate()
    assert full.returncode == 2
    lines = [line for line in told.splitlines() if "error" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"dvmsr: error: {target}: cannot be written")
    assert "Traceback" not in told
    assert not target.exists()
    assert len(list((tmp_path / ".out.mkv.dvmsr").glob("*.npz"))) == kept
    again = start(source, target, weights_file, *more)
    _, told = again.communicate()
    assert again.returncode == 0, told
    assert len(read(target).frames) == 12
