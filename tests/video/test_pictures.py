"""What frames look like and how they are to be shown, read back from the new file."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from clips import Clip, mastering, matrix_of, read, rgb

from dvmsr import Upscaler
from dvmsr.inference.sizes import OutputSize
from dvmsr.video import encoding
from dvmsr.video.colour import Colour, ToRgb
from dvmsr.video.libav import same_priority
from dvmsr.video.orientation import oriented, read_matrix

MATRICES = {"bt709": (1, 0.2126, 0.0722), "bt601": (6, 0.299, 0.114), "bt2020": (9, 0.2627, 0.0593)}


def flat(path, *, matrix, full, pixel_format, yuv, codec="ffv1", tagged=True, size=(32, 16), hdr=None):
    """Write a clip of one colour, given as it is stored."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=hdr or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        if tagged:
            context = stream.codec_context
            context.colorspace, context.color_range = matrix, 2 if full else 1
            context.color_primaries, context.color_trc = (9, 16) if hdr else (1, 1)
        for number in range(3):
            frame = av.VideoFrame(*size, pixel_format)
            for plane, value in zip(frame.planes, yuv, strict=True):
                deep = "10" in pixel_format
                np.frombuffer(plane, np.uint16 if deep else np.uint8)[:] = value
            frame.pts = number
            if tagged:
                frame.colorspace, frame.color_range = matrix, 2 if full else 1
                frame.color_primaries, frame.color_trc = (9, 16) if hdr else (1, 1)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def wanted_rgb(yuv, kr, kb, *, full, bits=8):
    """RGB in [0, 1] by ITU-R BT.601, 709 or 2020 (BT.2100 tables 6 and 9)."""
    one = 1 << (bits - 8)
    if full:
        y, cb, cr = (value / ((1 << bits) - 1) for value in yuv)
        cb, cr = (value - 128 * one / ((1 << bits) - 1) for value in (cb, cr))
    else:
        y = (yuv[0] - 16 * one) / (219 * one)
        cb, cr = ((value - 128 * one) / (224 * one) for value in yuv[1:])
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.array([red, (y - kr * red - kb * blue) / (1 - kr - kb), blue])


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_go_in_as_they_are_meant(matrix, full):
    number, kr, kb = MATRICES[matrix]
    for pixel_format, bits in (("yuv420p", 8), ("yuv422p10le", 10)):
        yuv = [value << (bits - 8) for value in (150, 100, 140)]
        frame = av.VideoFrame(32, 16, pixel_format)
        for plane, value in zip(frame.planes, yuv, strict=True):
            np.frombuffer(plane, np.uint16 if bits > 8 else np.uint8)[:] = value
        frame.colorspace, frame.color_range = number, 2 if full else 1
        pixels = ToRgb(Colour.of(frame), 32, 16, deep=bits > 8, alpha=False)(frame)
        assert pixels.dtype == (np.uint16 if bits > 8 else np.uint8)
        got = pixels[8, 16] / np.iinfo(pixels.dtype).max
        assert got == pytest.approx(wanted_rgb(yuv, kr, kb, full=full, bits=bits), abs=0.005)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("depth", [8, 10])
def test_colours_come_out_as_they_were(enlarge, shipped, tmp_path, matrix, full, depth):
    number, _, _ = MATRICES[matrix]
    yuv = [value << (depth - 8) for value in (150, 100, 140)]
    pixel_format = "yuv420p10le" if depth == 10 else "yuv420p"
    source = flat(tmp_path / "in.mkv", matrix=number, full=full, pixel_format=pixel_format, yuv=yuv)
    done = enlarge(source, by=shipped, crf=4)
    assert done.codec == ("H.265" if depth == 10 else "H.264")
    frame = read(done.target).frames[1]
    assert frame.format.name.replace("yuvj", "yuv") == pixel_format
    assert (frame.colorspace, frame.color_range) == (number, 2 if full else 1)
    assert (frame.color_primaries, frame.color_trc) == (1, 1)
    # The same network draws a flat colour flat, up to some steps; in the same matrix, so chroma stays.
    for plane, value in zip(frame.planes, yuv, strict=True):
        stored = np.frombuffer(plane, np.uint16 if depth == 10 else np.uint8)
        assert np.median(stored[stored > 0]) == pytest.approx(value, abs=3 << (depth - 8))


@pytest.mark.parametrize(("size", "matrix"), [((32, 16), 6), ((32, 720), 1)], ids=["sd", "hd"])
def test_untagged_video_is_tagged_as_players_take_its_source(enlarge, tmp_path, size, matrix):
    source = flat(
        tmp_path / "in.mkv",
        matrix=2,
        full=False,
        pixel_format="yuv420p",
        yuv=(150, 100, 140),
        tagged=False,
        size=size,
    )
    frame = read(enlarge(source, size=OutputSize(scale=2)).target).frames[0]
    assert frame.colorspace == matrix


def test_hdr10(enlarge, tmp_path):
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    source = flat(
        tmp_path / "in.mp4",
        matrix=9,
        full=False,
        pixel_format="yuv420p10le",
        yuv=(600, 400, 560),
        codec="libx265",
        size=(64, 64),
        hdr={"x265-params": f"hdr10=1:master-display={display}:max-cll=1000,400:log-level=error"},
    )
    before = read(source).frames[0]
    assert mastering(before) is not None
    for options in ({}, {"codec": "av1"}, {"codec": "h264", "pixel_format": "yuv420p10le"}):
        frame = read(enlarge(source, "out.mkv", overwrite=True, **options).target).frames[0]
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (9, 9, 16)
        assert frame.format.name == "yuv420p10le"
        numbers = np.array(mastering(frame)[:20]).reshape(10, 2)
        wanted = np.array(mastering(before)[:20]).reshape(10, 2)
        assert numbers[:, 0] / numbers[:, 1] == pytest.approx(wanted[:, 0] / wanted[:, 1], rel=1e-3, abs=3e-5)
        light = next(bytes(s) for s in frame.side_data if s.type.name == "CONTENT_LIGHT_LEVEL")
        assert np.frombuffer(light, np.uint32)[:2].tolist() == [1000, 400]


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_rotation_stays_a_flag(enlarge, tmp_path, degrees, name):
    source = Clip(tmp_path / "in.mp4", width=48, height=32, matrix=matrix_of(degrees, 48, 32)).make()
    before, frame = read(source).frames[0], read(enlarge(source, name).target).frames[0]
    assert before.rotation == frame.rotation != 0
    assert (frame.width, frame.height) == (192, 128)
    if name == "out.mp4":
        # Turned about the corner and moved back by the new size.
        assert read_matrix(frame) == matrix_of(degrees, 192, 128)


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize(("name", "options"), [("out.mp4", {"apply_rotation": True}), ("out.gif", {})])
def test_rotation_is_applied_once(enlarge, shipped, tmp_path, degrees, name, options):
    clip = Clip(tmp_path / "in.mp4", width=48, height=32, matrix=matrix_of(degrees, 48, 32), frames=2)
    done = enlarge(clip.make(), name, by=shipped, **options)
    frame = read(done.target).frames[0]
    assert frame.rotation == 0
    upright = np.rot90(clip.picture(0)[..., :3], -degrees // 90)
    assert (frame.height, frame.width) == (4 * upright.shape[0], 4 * upright.shape[1])
    small = rgb(frame).reshape(*[n for side in upright.shape[:2] for n in (side, 4)], 3).mean((1, 3))
    assert np.abs(small - upright).mean() < 12
    # Any other of the orientations is far from it.
    assert np.abs(small - upright[::-1, ::-1]).mean() > 25


def test_mirrored_pictures():
    pixels = np.arange(24).reshape(2, 4, 3)
    one = 1 << 16
    assert np.array_equal(oriented(pixels, (-one, 0, 0, 0, one, 0, 0, 0, 1 << 30)), pixels[:, ::-1])
    assert np.array_equal(oriented(pixels, (0, one, 0, one, 0, 0, 0, 0, 1 << 30)), pixels.transpose(1, 0, 2))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_pixel_aspect(enlarge, tmp_path, name):
    source = Clip(tmp_path / "in.mp4", setup={"sample_aspect_ratio": Fraction(16, 11)}).make()
    assert read(source).streams[0]["aspect"] == Fraction(16, 11)
    assert read(enlarge(source, name).target).streams[0]["aspect"] == Fraction(16, 11)


@pytest.mark.parametrize("name", ["out.webm", "out.gif"])
def test_pixels_become_square_where_their_aspect_is_lost(enlarge, tmp_path, name):
    wide = Clip(tmp_path / "wide.mp4", setup={"sample_aspect_ratio": Fraction(16, 11)}).make()
    done = enlarge(wide, name)
    assert any("pixels became square" in note for note in done.notes)
    # 128 x 64, each pixel 16/11 as wide as high.
    assert (done.target_width, done.target_height) == (128, 44)
    narrow = Clip(tmp_path / "narrow.mp4", setup={"sample_aspect_ratio": Fraction(8, 9)}).make()
    done = enlarge(narrow, f"narrow{name}")
    assert (done.target_width, done.target_height) == (114, 64)


def test_pixel_aspect_turns_with_the_pixels(enlarge, tmp_path):
    clip = Clip(
        tmp_path / "in.mp4", setup={"sample_aspect_ratio": Fraction(16, 11)}, matrix=matrix_of(90, 32, 16)
    )
    result = read(enlarge(clip.make(), apply_rotation=True).target)
    assert result.streams[0]["aspect"] == Fraction(11, 16)


def test_odd_sizes(enlarge, tmp_path):
    source = Clip(tmp_path / "in.mkv", width=35, height=17, codec="ffv1", pixel_format="yuv444p").make()
    frame = read(enlarge(source).target).frames[0]
    assert (frame.width, frame.height) == (140, 68)
    # 35 x 1.4 is 49: chroma of half the size needs an even number.
    half = enlarge(source, "half.mp4", size=OutputSize(scale=1.4))
    assert (half.target_width, half.target_height) == (48, 24)
    full = enlarge(source, "full.mkv", size=OutputSize(scale=1.4), pixel_format="yuv444p")
    assert (full.target_width, full.target_height) == (49, 24)
    frame = read(full.target).frames[0]
    assert (frame.width, frame.height, frame.format.name) == (49, 24, "yuv444p")


@pytest.mark.parametrize(
    ("source_name", "codec", "pixel_format", "name", "stored"),
    [
        ("in.webm", "libvpx-vp9", "yuva420p", "out.webm", "yuva420p"),
        ("in.mov", "prores_ks", "yuva444p10le", "out.mov", "yuva444p10le"),
        ("in.mov", "prores_ks", "yuva444p10le", "out.webm", None),
        ("in.mkv", "ffv1", "yuva420p", "out.mov", "yuva444p10le"),
    ],
)
def test_transparency(enlarge, shipped, tmp_path, source_name, codec, pixel_format, name, stored):
    options = {"auto-alt-ref": "0"} if codec == "libvpx-vp9" else {}
    clip = Clip(tmp_path / source_name, codec=codec, pixel_format=pixel_format, frames=2, options=options)
    done = enlarge(clip.make(), name, by=shipped)
    frame = read(done.target).frames[0]
    if stored is None:
        # AV1, which WebM holds of 10 bits, has no transparency.
        assert "transparency became white: WebM with AV1 has none" in done.notes
        assert rgb(frame)[32, 8].tolist() == pytest.approx([255] * 3, abs=8)
        return
    assert done.notes == ()
    assert done.pixel_format == stored
    alpha = frame.to_ndarray(format="rgba")[..., 3]
    assert alpha[:, :24].max() < 30
    assert alpha[:, 40:].min() > 225
    if name == "out.webm":
        # Matroska's AlphaMode, by which browsers know.
        assert b"\x53\xc0\x81\x01" in done.target.read_bytes()


def test_transparency_becomes_white_in_mp4(enlarge, shipped, tmp_path):
    clip = Clip(tmp_path / "in.mov", codec="prores_ks", pixel_format="yuva444p10le", frames=2)
    done = enlarge(clip.make(), by=shipped)
    assert "transparency became white: MP4 with H.265 has none" in done.notes
    assert rgb(read(done.target).frames[0])[32, 8].tolist() == pytest.approx([255] * 3, abs=8)


def interlaced(path):
    """Two fields of different times in each frame: a bar that has moved from one to the next."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25, options={"flags": "+ilme+ildct", "top": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.flags |= int(av.codec.context.Flags.interlaced_dct)
        stream.bit_rate = 4_000_000
        for number in range(8):
            image = np.full((48, 64, 3), 60, np.uint8)
            for field in (0, 1):
                left = 2 + 5 * number + 3 * field
                image[field::2, left : left + 8] = 220
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        output.mux(stream.encode(None))
    return path


def comb(frame):
    """How much rows differ from the mean of their neighbours."""
    grey = frame.to_ndarray(format="gray").astype(float)
    return np.abs(grey[4:-4:4] - (grey[:-8:4] + grey[8::4]) / 2).mean()


def test_interlaced_video_is_told_and_joined(enlarge, shipped, tmp_path):
    source = interlaced(tmp_path / "in.mpg")
    assert read(source).frames[3].interlaced_frame
    told = enlarge(source, "told.mp4", by=shipped)
    assert any("deinterlace=True joins them" in note for note in told.notes)
    done = enlarge(source, by=shipped, deinterlace=True)
    assert not any("deinterlace" in note for note in done.notes)
    assert done.frames == told.frames == 8
    before, after = read(told.target), read(done.target)
    assert after.times == pytest.approx(before.times, abs=1e-3)
    assert comb(after.frames[4]) < comb(before.frames[4]) / 2


def test_what_comes_with_frames_goes_on_with_them(enlarge, tmp_path, monkeypatch):
    # Closed captions need a broadcast; the display matrix stands for them as what comes with each frame.
    clip = Clip(tmp_path / "in.mp4", matrix=matrix_of(90, 32, 16)).make()
    without = read(enlarge(clip, "without.mkv", codec="ffv1").target)
    carried = []
    original = encoding._with_side_data

    def noted(frame, source):
        both = original(frame, source)
        carried.append(both.rotation)
        return both

    monkeypatch.setattr(encoding, "_CARRIED", {Type.DISPLAYMATRIX})
    monkeypatch.setattr(encoding, "_with_side_data", noted)
    result = read(enlarge(clip, "with.mkv", codec="ffv1").target)
    assert carried == [-90] * 12
    for one, other in zip(without.frames, result.frames, strict=True):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())
    assert result.times == without.times


def test_on_another_device(enlarge, weights, upscaler, tmp_path):
    source = Clip(tmp_path / "in.mkv", frames=3, codec="ffv1").make()
    torch = Upscaler(weights, device="torch", threads=1)
    frames = [
        read(enlarge(source, name, by=by, codec="ffv1").target).frames
        for name, by in (("cpu.mkv", upscaler), ("torch.mkv", torch))
    ]
    for one, other in zip(*frames, strict=True):
        assert np.abs(rgb(one).astype(int) - rgb(other).astype(int)).max() <= 2


def test_frames_of_another_size_are_fitted(enlarge, tmp_path):
    first = Clip(tmp_path / "a.ts", frames=4, width=32, height=16).make()
    second = Clip(tmp_path / "b.ts", frames=4, width=64, height=32).make()
    joined = tmp_path / "in.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    done = enlarge(joined)
    assert "frames came in other sizes than the first, 32x16, and were fitted into it: 4" in done.notes
    assert {(f.width, f.height) for f in read(done.target).frames} == {(128, 64)}


def test_the_encoder_of_av1_leaves_priorities_alone():
    """It makes threads of root's real-time ones."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    context = av.CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuv420p", Fraction(1, 25)
    try:
        with same_priority():
            context.open()
        threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
        assert {os.sched_getscheduler(thread) for thread in threads} == {before}
    finally:
        os.sched_setscheduler(0, before, parameters)
