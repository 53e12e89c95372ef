"""What a file holds beside its video, read back from the new file."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import Clip, read
from PIL import Image

from dvmsr.video.formats import CONTAINERS
from dvmsr.video.tracks import plan_tracks

LANGUAGES = [{"language": "eng", "title": "Film"}, {"language": "deu", "title": "Commentary"}]


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def rich(tmp_path):
    """A film with all that Matroska can hold."""
    return Clip(
        tmp_path / "in.mkv",
        frames=20,
        audio=LANGUAGES,
        subtitles=[(100, 300, "Hello"), (500, 200, "<i>there</i>")],
        chapters=[(0, 300, "One"), (300, 800, "Two")],
        metadata={"title": "A film", "ARTIST": "Somebody", "CUSTOM": "kept"},
        attachment=b"font" * 100,
    ).make()


def test_everything_is_copied(enlarge, rich):
    before, after = read(rich), read(enlarge(rich, "out.mkv").target)
    kinds = ["video", "audio", "audio", "subtitle", "attachment"]
    assert [s["type"] for s in after.streams] == [s["type"] for s in before.streams] == kinds
    assert [s["codec"] for s in after.streams[1:4]] == [s["codec"] for s in before.streams[1:4]]
    for number in (1, 2, 3):
        assert [data for _, data in after.packets[number]] == [data for _, data in before.packets[number]]
        for name in ("language", "title"):
            assert after.streams[number]["metadata"].get(name) == before.streams[number]["metadata"].get(name)
        assert after.streams[number]["disposition"] == before.streams[number]["disposition"]
    assert after.streams[4]["data"] == b"font" * 100
    assert after.streams[4]["metadata"] == before.streams[4]["metadata"]
    assert after.chapters == before.chapters
    for name in ("title", "ARTIST", "CUSTOM"):
        assert after.metadata[name] == before.metadata[name]


def test_what_does_not_fit_is_told_before_the_work(enlarge, rich):
    done = enlarge(rich, "out.mp4")
    assert [note.split(",")[0] for note in done.notes] == [
        "left out: track 3 (subtitles",
        "left out: track 4 (attachment",
    ]
    assert all("which MP4 cannot hold; a .mkv file can" in note for note in done.notes)
    after = read(done.target)
    assert [s["type"] for s in after.streams if s["type"] != "data"] == ["video", "audio", "audio"]
    # MP4 keeps languages, and titles of tracks are not among what it has.
    assert [s["metadata"]["language"] for s in after.streams[1:3]] == ["eng", "deu"]
    assert [title for _, _, title in after.chapters] == ["One", "Two"]


def test_webm_takes_its_own_codecs_only(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv", audio=[{}], audio_codec="libopus").make()
    done = enlarge(source, "out.webm")
    assert [s["codec"] for s in read(done.target).streams] == ["vp9", "opus"]
    assert done.notes == ()
    assert [d for _, d in read(done.target).packets[1]] == [d for _, d in read(source).packets[1]]


@pytest.mark.parametrize("source_name", ["in.mp4", "in.mkv"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_cover_picture(enlarge, tmp_path, source_name, name):
    source = Clip(tmp_path / source_name, cover=png()).make()
    result = read(enlarge(source, name).target)
    (cover,) = (s for s in result.streams if not s["main"])
    assert cover["type"] == "video"
    assert cover["codec"] == "png"
    assert [data for _, data in result.packets[result.streams.index(cover)]] == [png()]


@pytest.mark.parametrize(
    ("source_name", "codec", "name"),
    [("in.ts", "klv", "out.mov"), ("in.mp4", "bin_data", "out.mp4"), ("in.ts", "klv", "out.mp4")],
)
def test_data(enlarge, tmp_path, source_name, codec, name):
    """As of drones and cameras; what a file cannot hold is told, and which can."""
    source = tmp_path / source_name
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 32, 16, "yuv420p"
        data = output.add_data_stream(codec)
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 30 * number, np.uint8))
            frame.pts = number
            output.mux(video.encode(frame))
            packet = av.Packet(b"place %d" % number)
            packet.stream, packet.time_base = data, Fraction(1, 1000)
            packet.pts = packet.dts = 40 * number
            packet.duration = 40
            output.mux(packet)
        output.mux(video.encode(None))
    before, done = read(source), enlarge(source, name)
    if (codec, name) == ("klv", "out.mp4"):
        assert done.notes == ("left out: track 1 (data, klv), which MP4 cannot hold; a .mov file can",)
        return
    after = read(done.target)
    assert [data for _, data in after.packets[1]] == [data for _, data in before.packets[1]]
    times = [at - after.times[0] for at, _ in after.packets[1]]
    assert times == pytest.approx([at - before.times[0] for at, _ in before.packets[1]], abs=1e-3)


def test_mp4_subtitles_and_phones_tags(enlarge, tmp_path):
    tags = {
        "title": "Beach",
        "creation_time": "2024-05-06T07:08:09.000000Z",
        "com.apple.quicktime.model": "Phone 9",
        "com.apple.quicktime.location.ISO6709": "+48.1371+011.5754/",
    }
    source = Clip(
        tmp_path / "in.mov",
        audio=[{"language": "eng"}],
        metadata=tags,
        container_options={"movflags": "use_metadata_tags"},
    ).make()
    for name in ("out.mov", "out.mp4"):
        result = read(enlarge(source, name).target)
        assert {tag: result.metadata.get(tag) for tag in tags} == tags


def test_languages_in_quicktime(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mp4", audio=LANGUAGES).make()
    result = read(enlarge(source, "out.mov").target)
    assert [s["metadata"].get("language") for s in result.streams if s["type"] == "audio"] == ["eng", "ger"]


def test_a_second_video_track_is_copied(enlarge, tmp_path):
    import av

    first, second = (
        Clip(tmp_path / "a.mp4").make(),
        Clip(tmp_path / "b.mp4", width=48, height=32).make(),
    )
    both = tmp_path / "both.mkv"
    with av.open(str(both), "w") as output, av.open(str(first)) as one, av.open(str(second)) as two:
        targets = [output.add_stream_from_template(s.streams.video[0], opaque=True) for s in (one, two)]
        for source, target in zip((one, two), targets, strict=True):
            for packet in source.demux():
                if packet.size:
                    packet.stream = target
                    output.mux(packet)
    result = read(enlarge(both, "out.mkv").target)
    assert [s["type"] for s in result.streams] == ["video", "video"]
    assert (result.frames[0].width, result.frames[0].height) == (128, 64)
    assert [d for _, d in result.packets[1]] == [d for _, d in read(both).packets[1]]


def test_tracks_of_no_kind_that_a_format_has(rich):
    assert plan_tracks(rich, CONTAINERS[".gif"]).copied == ()
    assert plan_tracks(rich, CONTAINERS[".mkv"]).copied == (1, 2, 3, 4)
