"""``dvmsr video`` as people call it."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pyvips

CLIPS = Path(__file__).parents[1] / "video" / "clips.py"
_spec = importlib.util.spec_from_file_location("clips", CLIPS)
clips = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("clips", clips)
_spec.loader.exec_module(clips)


def test_a_video(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mp4", frames=10, held=2, audio=[{}], options={"bf": "0"}).make()
    target, report = tmp_path / "out.mp4", tmp_path / "report.json"
    arguments = ["video", source, "-o", target, "--preset", "veryfast", "--report", report, *network]
    code, out, told = dvmsr(*arguments)
    assert code == 0
    assert "32x16 h264, 25/s for 0.40 s -> 128x64 H.264 (yuv420p) in MP4" in told
    assert re.search(r"^  about 10 frames, \d+\.\d\d s; less where frames are the same$", told, re.MULTILINE)
    assert f"{source} 32x16 -> {target} 128x64: 10 frames in" in out
    assert "frames were the same as the one before and enlarged once" in out
    entry = json.loads(report.read_text())["dvmsr video"]
    assert entry["frames"] == 10
    assert entry["duplicates"] == 10 - entry["computed"] >= 4
    assert entry["bytes"] == target.stat().st_size
    content = target.read_bytes()
    code, out, told = dvmsr(*arguments)
    assert (code, out) == (0, "")
    assert told == f"finished before: {target}; --overwrite makes it again, with other settings, too\n"
    assert target.read_bytes() == content
    # The index comes first, so that browsers begin before they have it all.
    assert content.index(b"moov") < content.index(b"mdat")


def test_size_codec_and_part(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mkv", frames=50).make()
    target = tmp_path / "out.mp4"
    more = ["--size", "80x", "--codec", "h265", "--crf", "30", "--start", "0:00.4", "--end", "0:01.0"]
    code, _, told = dvmsr("video", source, "-o", target, *more, "--preset", "ultrafast", *network)
    assert code == 0, told
    result = clips.read(target)
    assert len(result.frames) == 15
    assert (result.frames[0].width, result.frames[0].height) == (80, 40)
    assert (result.streams[0]["codec"], result.streams[0]["tag"]) == ("hevc", "hvc1")


def test_preview(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mkv", frames=40, codec="ffv1").make()
    code, out, _ = dvmsr("video", source, "-o", tmp_path / "out.mp4", "--preview", "3", *network)
    assert code == 0
    assert "3 frames in" in out
    names = sorted(p.name for p in tmp_path.iterdir() if p != source)
    assert names == sorted(
        f"out_preview_{n}{kind}.png" for n in (1, 2, 3) for kind in ("", "_before", "_compare")
    )
    # The middle of each third: frames 6, 20 and 33 of 40.
    frames = clips.read(source).frames
    for number, frame in ((1, 6), (2, 20), (3, 33)):
        before = pyvips.Image.new_from_file(str(tmp_path / f"out_preview_{number}_before.png")).numpy()
        distances = [abs(before.astype(int) - clips.rgb(each).astype(int)).mean() for each in frames]
        assert min(distances) == distances[frame] < 6
        after = pyvips.Image.new_from_file(str(tmp_path / f"out_preview_{number}.png"))
        assert (after.width, after.height) == (128, 64)


def test_animations_are_told_as_such(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mkv", frames=6, codec="ffv1").make()
    _, _, told = dvmsr("video", source, "-o", tmp_path / "out.png", *network)
    assert "-> 128x64 APNG\n" in told
    _, _, told = dvmsr("video", tmp_path / "out.png", "-o", tmp_path / "out.gif", *network)
    assert "128x64 apng, 25/s -> 512x256 GIF\n  about 6 frames, " in told


def test_progress_tells_rate_time_left_and_size(dvmsr, network, tmp_path, monkeypatch):
    monkeypatch.setattr("dvmsr.cli.progress_display._SECONDS_BETWEEN_LINES", 0.0)
    source = clips.Clip(tmp_path / "in.mkv", frames=6, codec="ffv1").make()
    _, _, told = dvmsr("video", source, "-o", tmp_path / "out.mkv", "--codec", "ffv1", *network)
    lines = re.findall(r"^in.mkv, [\d.]+ KiB: (\d+) %, [\d.e+]+ frames/s, [\d:]+ left$", told, re.MULTILINE)
    assert [int(part) for part in lines] == [16, 33, 50, 66, 83]


def test_what_is_shown_turned_is_told_so(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mp4", matrix=clips.matrix_of(90, 32, 16)).make()
    _, _, told = dvmsr("video", source, "-o", tmp_path / "out.mp4", "--preset", "ultrafast", *network)
    assert ": 32x16 (shown turned) h264, " in told


def test_previews_are_upright(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mp4", matrix=clips.matrix_of(90, 32, 16)).make()
    code, _, _ = dvmsr("video", source, "-o", tmp_path / "out.mp4", "--preview", "1", *network)
    assert code == 0
    picture = pyvips.Image.new_from_file(str(tmp_path / "out_preview_1.png"))
    assert (picture.width, picture.height) == (64, 128)


def test_errors_are_one_line(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mp4").make()
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    for arguments, message in [
        ((tmp_path / "no.mp4", "-o", tmp_path / "out.mp4"), "cannot be read"),
        ((source, "-o", source), "is the input file itself"),
        ((source, "-o", tmp_path / "out.avi"), "expected a name that ends in"),
        ((source, "-o", tmp_path / "out.mp4", "--start", "soon"), "expected a time"),
        (
            (source, "-o", tmp_path / "out.webm", "--codec", "h264"),
            "WebM files cannot hold what libx264 writes; choose another --codec, or a .mkv file",
        ),
        ((source, "-o", tmp_path / "out.mov", "--codec", "vp9"), "MOV files cannot hold what libvpx-vp9"),
        ((source, "-o", tmp_path / "out.mp4", "--codec", "rawvideo"), "MP4 files cannot hold what rawvideo"),
        ((source, "-o", tmp_path / "out.gif", "--crf", "3"), "gif (GIF) has no --crf; leave it out"),
        ((source, "-o", tmp_path / "out.mp4", "--end", "0"), "the end must come after the start, got 0 s"),
        ((source, "-o", tmp_path / "out.mp4", "--report", mine), "is no report"),
        (
            (source, "-o", tmp_path / "out.mp4", "--report", tmp_path / "new.json", "--preview", "2"),
            "--report is of a whole video: leave it out with --preview",
        ),
        ((source, "-o", tmp_path / "out.mp4", "--model", "auto"), "--model auto is for pictures"),
        ((source, "-o", tmp_path / "out.mp4", "--scale", "2", "--size", "80x"), "either a scale or a size"),
    ]:
        code, out, told = dvmsr("video", *arguments, *network)
        assert (code, out) == (2, "")
        assert told.startswith("dvmsr: error: ")
        assert message in told
        assert told.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "mine.json"]


def test_what_could_be_read_is_there(dvmsr, network, tmp_path):
    source = clips.Clip(tmp_path / "in.mkv", frames=75, options={"g": "10"}).make()
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    target = tmp_path / "out.mkv"
    code, _, told = dvmsr("video", source, "-o", target, *network)
    assert code == 2
    line = told.splitlines()[-1]
    assert line.startswith(f"dvmsr: error: {source}: it is cut short: ")
    assert line.endswith(f"what could be read is in {target}")
    assert len(clips.read(target).frames) > 10


def test_without_pyav(dvmsr, network, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name == "av" or name.startswith(("av.", "dvmsr.video"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, told = dvmsr("video", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", *network)
    assert code == 2
    assert told == (
        "dvmsr: error: Enlarging videos needs av: run pip install '.[video]' in dvmsr's source folder\n"
    )
