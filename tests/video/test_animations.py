"""Animation formats of pictures, either way; and frames that are the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from clips import Clip, read, rgb
from PIL import Image

DELAYS = [100, 40, 200, 60]
SUFFIXES = ["gif", "webp", "png"]


def animation(path, *, plays=3, transparent=True):
    """Four pictures of one colour each, on the left transparent."""
    frames = []
    for number in range(4):
        pixels = np.zeros((16, 32, 4), np.uint8)
        pixels[..., :3] = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)][number]
        pixels[..., 3] = 255
        if transparent:
            pixels[:, :8] = 0
        frames.append(Image.fromarray(pixels))
    # GIF counts the times after the first.
    loop = plays - 1 if path.suffix == ".gif" else plays
    options = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=DELAYS, loop=loop, disposal=2, **options
    )
    return path


def look(path):
    """Delays in milliseconds, how often it is played, and the frames as RGBA, as Pillow reads them."""
    with Image.open(path) as image:
        delays, frames = [], []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            delays.append(image.info["duration"])
            frames.append(np.asarray(image.convert("RGBA")))
        loop = image.info.get("loop")
    return delays, loop + 1 if path.suffix == ".gif" and loop else loop, frames


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SUFFIXES, SUFFIXES)))
def test_from_each_to_each(enlarge, shipped, tmp_path, source, target):
    path = animation(tmp_path / f"in.{source}")
    done = enlarge(path, f"out.{target}", by=shipped, segment_frames=3)
    assert (done.frames, done.computed) == (4, 4)
    delays, plays, frames = look(done.target)
    assert delays == pytest.approx(DELAYS)
    assert plays == 3
    _, _, before = look(path)
    for old, new in zip(before, frames, strict=True):
        assert new.shape == (64, 128, 4)
        assert new[32, 8, 3] < 40
        assert new[32, 80, 3] > 215
        assert new[32, 80, :3].astype(int) == pytest.approx(old[8, 20, :3].astype(int), abs=14)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_into_a_video_and_back(enlarge, shipped, tmp_path, suffix):
    path = animation(tmp_path / f"in.{suffix}", transparent=False)
    film = enlarge(path, "film.mp4", by=shipped, crf=10)
    assert film.notes == ()
    result = read(film.target)
    assert np.diff(result.times) == pytest.approx([0.1, 0.04, 0.2])
    assert result.durations[-1] == pytest.approx(0.06)
    assert rgb(result.frames[0])[32, 64].astype(int) == pytest.approx([200, 40, 40], abs=14)
    back = enlarge(film.target, f"back.{suffix}")
    delays, plays, _ = look(back.target)
    assert delays == pytest.approx(DELAYS)
    assert plays == 0


def test_transparency_into_videos(enlarge, shipped, tmp_path):
    path = animation(tmp_path / "in.gif")
    white = enlarge(path, "out.mp4", by=shipped)
    assert "transparency became white: MP4 with H.264 has none" in white.notes
    assert rgb(read(white.target).frames[0])[32, 8].tolist() == pytest.approx([255] * 3, abs=8)
    kept = enlarge(path, "out.webm", by=shipped)
    assert read(kept.target).frames[0].to_ndarray(format="rgba")[32, 8, 3] < 40


def test_same_frames_are_enlarged_once(enlarge, tmp_path):
    # Drawn at 12 in 24: pictures that are held for two frames, exactly and as encoders make them.
    for codec, pixel_format in (("ffv1", "yuv420p"), ("libx264", "yuv420p")):
        clip = Clip(
            tmp_path / f"{codec}.mkv",
            frames=24,
            held=2,
            codec=codec,
            pixel_format=pixel_format,
            options={"crf": "20", "bf": "0"} if codec == "libx264" else {},
        )
        done = enlarge(clip.make(), f"{codec}.mp4")
        assert done.frames == 24
        assert done.computed == 12 if codec == "ffv1" else 12 <= done.computed < 20
        result = read(done.target)
        assert result.times == pytest.approx([n / 25 for n in range(24)], abs=1e-3)


def test_same_frames_come_out_the_same(enlarge, tmp_path):
    clip = Clip(tmp_path / "in.mkv", frames=6, held=3, codec="ffv1")
    frames = read(enlarge(clip.make(), "out.mkv", codec="ffv1").target).frames
    pixels = [frame.to_ndarray() for frame in frames]
    assert np.array_equal(pixels[0], pixels[2])
    assert not np.array_equal(pixels[2], pixels[3])
