"""Sources that are damaged, cut short, or no videos, and targets that cannot be written."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import pyvips
from clips import Clip, read

from dvmsr.errors import ArgumentError, DvmsrError, VideoError
from dvmsr.video import VideoOptions, parse_time


def cut(path, part):
    """Keep the beginning of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def spoil(path, number):
    """Overwrite a packet of the video."""
    with av.open(str(path)) as file:
        packet = bytes([p for p in file.demux(video=0) if p.size][number])
    content = path.read_bytes()
    assert content.count(packet) == 1
    path.write_bytes(content.replace(packet, b"\xff" * len(packet)))


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_cut_short(enlarge, tmp_path, name):
    options = {"movflags": "+faststart"} if name == "in.mp4" else {}
    source = Clip(
        tmp_path / name, frames=75, audio=[{}], container_options=options, options={"g": "10"}
    ).make()
    whole = read(source)
    done = enlarge(cut(source, 0.5))
    assert "it is cut short" in done.damage
    result = read(done.target)
    assert 10 < len(result.times) < 75
    assert result.times == pytest.approx(whole.times[: len(result.times)], abs=2e-3)


def test_whole_videos_are_not_called_cut_short(enlarge, tmp_path):
    for name in ("in.mkv", "in.mp4", "in.ts", "in.avi"):
        clip = Clip(tmp_path / name, frames=30, audio=[{}], options={"bf": "0"})
        assert enlarge(clip.make(), f"{name}.mp4").damage is None


def test_a_part_without_a_frame_leaves_nothing(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv").make()
    with pytest.raises(VideoError, match="there is no frame in what was asked for"):
        enlarge(source, start=Fraction("0.41"), end=Fraction("0.42"))
    assert list(tmp_path.iterdir()) == [source]


def test_damaged_in_the_middle(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv", frames=40, width=64, height=48, options={"g": "8"}).make()
    spoil(source, 13)
    done = enlarge(source)
    assert done.damage == "1 of its packets or frames are damaged"
    assert 38 <= done.frames <= 40
    # What comes after it is there, at its time.
    assert read(done.target).times[-1] == pytest.approx(39 / 25, abs=1e-3)


def test_damage_before_a_kill_is_remembered(upscaler, tmp_path):
    from dvmsr.video import upscale_video

    source = Clip(tmp_path / "in.mkv", frames=40, width=64, height=48, options={"g": "8"}).make()
    spoil(source, 13)
    options = VideoOptions(segment_frames=5, preset="ultrafast")

    def stop(progress):
        if progress.kept == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(upscaler, source, tmp_path / "out.mp4", options, progress=stop)
    done = upscale_video(upscaler, source, tmp_path / "out.mp4", options)
    assert done.resumed == 30
    assert done.damage == "1 of its packets or frames are damaged"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"no video at all\n" * 100, "is no video, or too damaged"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "is no video, or too damaged"),
        ("missing.mp4", None, "No such file or directory"),
    ],
)
def test_no_video(enlarge, tmp_path, name, content, message):
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        enlarge(source)
    assert not [p for p in tmp_path.iterdir() if p != source]


def test_a_picture_a_sound_and_a_folder(enlarge, tmp_path):
    for name in ("photo.png", "photo.jpg", "photo.webp"):
        pyvips.Image.new_from_array(np.zeros((8, 8, 3), np.uint8)).copy(interpretation="srgb").write_to_file(
            str(tmp_path / name)
        )
        with pytest.raises(VideoError, match="is a picture and no video; enlarge it with: dvmsr upscale"):
            enlarge(tmp_path / name)
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(VideoError, match="has no video track"):
        enlarge(tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match=r"(folder|directory)"):
        enlarge(tmp_path)


def test_targets_that_cannot_be_written(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mp4").make()
    before = source.read_bytes()
    for name, message in [
        ("in.mp4", "is the input file itself"),
        ("out.xyz", "expected a name that ends in .mp4"),
        ("no/folder.mp4", "there is no folder"),
    ]:
        with pytest.raises(VideoError, match=message):
            enlarge(source, name, overwrite=True)
    (tmp_path / "there.mp4").write_bytes(b"mine")
    with pytest.raises(VideoError, match="exists already"):
        enlarge(source, "there.mp4")
    assert (tmp_path / "there.mp4").read_bytes() == b"mine"
    assert source.read_bytes() == before
    enlarge(source, "there.mp4", overwrite=True)
    assert read(tmp_path / "there.mp4").times


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "nonsense"}, "expected an encoder such as h264"),
        ({"codec": "aac"}, "encoder of video"),
        ({"pixel_format": "nonsense"}, "takes the pixel formats"),
        ({"preset": "nonsense"}, "does not take"),
        ({"codec": "prores", "crf": 3}, "has no crf"),
        ({"codec": "mpeg4", "crf": 3}, "does not know crf=3"),
        ({"start": parse_time("5"), "end": parse_time("9")}, "expected a start before its end"),
    ],
)
def test_what_does_not_go_together(enlarge, tmp_path, options, message):
    source = Clip(tmp_path / "in.mp4").make()
    options = {"preset": None, **options}
    with pytest.raises(DvmsrError, match=message):
        enlarge(source, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_times_that_people_write():
    assert parse_time("12.5") == 12.5
    assert parse_time("1:30") == 90
    assert parse_time("1:02:03.5") == 3723.5
    for text in ("", "x", "-1", "1:2:3:4", "1e5"):
        with pytest.raises(ArgumentError, match="expected a time"):
            parse_time(text)
    with pytest.raises(ArgumentError, match="after the start"):
        VideoOptions(start=parse_time("9"), end=parse_time("5"))
