"""When frames are shown, and that sound stays with them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import RATE, Clip, read

# As phones film: no two distances are the same.
UNEVEN = [0, 33, 70, 99, 180, 181, 220, 400, 410, 450, 470, 600, 640, 700, 1000, 1020, 1043]


def gap(result):
    """Seconds from the first frame to the first packet of each other track."""
    return [packets[0][0] - result.times[0] for _, packets in sorted(result.packets.items())]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.webm"])
def test_constant_rate(enlarge, tmp_path, name):
    source = Clip(tmp_path / "in.mp4", frames=12).make()
    done = enlarge(source, name)
    assert done.frames == 12
    result = read(done.target)
    assert result.times == pytest.approx([n / 25 for n in range(12)])
    assert result.durations == pytest.approx([1 / 25] * 12)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm"])
@pytest.mark.parametrize("options", [{}, {"codec": "h265"}], ids=["default", "h265"])
def test_variable_rate(enlarge, tmp_path, name, options):
    if options and name == "out.webm":
        options = {"codec": "av1"}
    source = Clip(tmp_path / "in.mkv", times=UNEVEN).make()
    # Segments end between frames of quite other distances, and with the encoder's own reordering.
    done = enlarge(source, name, preset=None, **options)
    result = read(done.target)
    assert result.times == pytest.approx([t / 1000 for t in UNEVEN], abs=1e-6)
    with av.open(str(done.target)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
    if name == "out.mp4":  # Matroska has no times of decoding
        decoded = [p.dts for p in packets]
        assert decoded == sorted(set(decoded))
        assert all(p.dts <= p.pts for p in packets)


def test_last_frame_stays_as_long(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv", times=[0, 40, 80, 500]).make()
    before = read(source).durations[-1]
    result = read(enlarge(source).target)
    assert result.durations[:3] == pytest.approx([0.04, 0.04, 0.42])
    assert result.durations[-1] == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("source_name", ["in.mp4", "in.mkv", "in.ts"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_sound_stays_in_sync(enlarge, tmp_path, source_name, name):
    # B-frames are decoded before the file begins, AAC before its first sample; MPEG-TS begins at 1.4 s.
    source = Clip(
        tmp_path / source_name,
        frames=30,
        options={"bf": "3", "b_strategy": "0"},
        audio=[{"language": "eng"}],
        audio_start=700,
    ).make()
    before = read(source)
    done = enlarge(source, name)
    after = read(done.target)
    assert done.notes == ()
    assert gap(after) == pytest.approx(gap(before), abs=0.0015)
    assert np.subtract(after.times, after.times[0]) == pytest.approx(
        np.subtract(before.times, before.times[0]), abs=0.0015
    )
    # From MPEG-TS the packets lose the heads of that format, but not their sound.
    if source_name != "in.ts":
        assert [data for _, data in after.packets[1]] == [data for _, data in before.packets[1]]
    assert heard(done.target) == pytest.approx(heard(source), abs=0.0015)


def heard(path):
    """Seconds from the first frame shown to the click with which the sound begins."""
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
    with av.open(str(path)) as file:
        first = next(file.decode(video=0)).time
    start = frames[0].time
    samples = np.concatenate([f.to_ndarray()[0] for f in frames])
    return start + int(np.argmax(np.abs(samples) > 0.5)) / RATE - first


def test_a_video_that_begins_after_its_sound(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv", times=[500 + 40 * n for n in range(10)], audio=[{}]).make()
    after = read(enlarge(source).target)
    assert gap(after) == pytest.approx(gap(read(source)), abs=0.0015)


def test_part(enlarge, tmp_path):
    source = Clip(
        tmp_path / "in.mkv",
        frames=50,
        audio=[{}],
        subtitles=[(100, 500, "first"), (700, 200, "second"), (1500, 300, "third")],
        chapters=[(0, 800, "a"), (800, 1400, "b"), (1400, 2000, "c")],
    ).make()
    before = read(source)
    done = enlarge(source, "out.mkv", start=Fraction("0.4"), end=Fraction("1.2"))
    result = read(done.target)
    first = result.times[0]
    assert np.subtract(result.times, first) == pytest.approx([n / 25 for n in range(20)], abs=1e-3)
    lines = [(at - first, data.decode()) for at, data in result.packets[2]]
    assert lines == [(pytest.approx(0, abs=2e-3), "first"), (pytest.approx(0.3, abs=2e-3), "second")]
    sound = [at - first for at, _ in result.packets[1]]
    wanted = [at - 0.4 for at, _ in before.packets[1] if 0.4 <= at - before.times[0] < 1.2]
    assert sound == pytest.approx(wanted, abs=0.13)
    assert 0 <= sound[0] < 0.13
    assert sound[-1] < 0.8
    assert [(pytest.approx(a, abs=2e-3), pytest.approx(b, abs=2e-3), c) for a, b, c in result.chapters] == [
        (0, 0.4, "a"),
        (0.4, 0.8, "b"),
    ]
    # The frames are those, and not others.
    whole = enlarge(source, "whole.mkv", codec="ffv1")
    part = enlarge(source, "part.mkv", codec="ffv1", start=Fraction("0.4"), end=Fraction("1.2"))
    all_frames, some = read(whole.target).frames, read(part.target).frames
    assert len(some) == 20
    for one, other in zip(all_frames[10:30], some, strict=True):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())


def test_frames_without_times(enlarge, tmp_path):
    source = Clip(tmp_path / "in.h264", frames=8, options={"bf": "0"}).make()
    result = read(enlarge(source, "out.mkv").target)
    assert result.times == pytest.approx([n / 25 for n in range(8)], abs=1e-3)
