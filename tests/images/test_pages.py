"""Files of more than one picture: which is taken, and that it is said."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageSequence

from dvmsr.errors import ImageReadError
from dvmsr.images import limits, open_image, open_pictures


def frames(count=3, height=20, width=16, channels=3):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, channels), np.uint8) for _ in range(count)]


def save_frames(path, pictures, **options):
    first, *more = map(Image.fromarray, pictures)
    first.save(path, save_all=True, append_images=more, **options)
    return path


def read(reader, rows=7):
    return np.concatenate(list(reader.samples(rows)))


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_animation(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = save_frames(tmp_path / f"a.{suffix}", frames(), duration=[100, 200, 300], **options)
    with Image.open(path) as image:
        expected = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]

    first = open_image(path)
    assert first.notes == ['of 3 frames the first is enlarged; pages="all" takes all']
    assert (first.frames, first.height) == (1, 20)
    assert np.array_equal(read(first)[..., :3], expected[0])

    (whole,) = open_pictures(path)
    assert (whole.frames, whole.width, whole.height, whole.notes) == (3, 16, 20, [])
    blocks = [len(block) for block in whole.samples(7)]
    assert blocks == [7, 7, 6] * 3
    assert np.array_equal(read(whole)[..., :3], np.concatenate(expected))


@pytest.mark.parametrize("suffix", ["png", "avif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_animation_that_another_library_reads(tmp_path, suffix, channels):
    path = save_frames(tmp_path / f"a.{suffix}", frames(channels=channels), duration=[100, 200, 300])
    with Image.open(path) as image:
        mode = "RGBA" if channels == 4 else "RGB"
        expected = [np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(image)]
    first = open_image(path)
    assert first.notes == ['of an animation the first frame is enlarged; pages="all" takes all']
    assert (first.width, first.height, first.frames, first.animated) == (16, 20, 1, True)
    (whole,) = open_pictures(path)
    assert (whole.frames, whole.width, whole.height, whole.has_alpha) == (3, 16, 20, channels == 4)
    assert [len(block) for block in whole.samples(7)] == [7, 7, 6] * 3
    assert np.array_equal(read(whole), np.concatenate(expected))
    assert whole.decode().get("delay") == [100, 200, 300]


@pytest.mark.parametrize("suffix", ["png", "avif"])
def test_animation_that_is_damaged(tmp_path, suffix):
    path = save_frames(tmp_path / f"a.{suffix}", frames(height=60, width=50), duration=100)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageReadError, match="damaged or cut short"):
        [read(reader) for reader in open_pictures(path)]


def test_frames_that_do_not_fit_into_memory(tmp_path, monkeypatch):
    path = save_frames(tmp_path / "a.png", frames(height=200, width=100), duration=100)
    monkeypatch.setattr(limits, "LITTLE_BYTES", 0)
    monkeypatch.setattr(limits, "available_memory", lambda: 200_000)
    assert open_image(path).height == 200
    with pytest.raises(ImageReadError, match="of memory"):
        open_pictures(path)


def test_pages(tmp_path):
    pictures = [frames(1, 20, 16)[0], frames(1, 9, 30)[0], frames(1, 12, 12, 1)[0]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for picture in pictures:
            file.write(picture.squeeze(), photometric="rgb" if picture.shape[2] == 3 else "minisblack")
    reader = open_image(tmp_path / "a.tif")
    assert reader.notes == ['of 3 pages the first is enlarged; pages="all" takes all']
    assert np.array_equal(read(reader), pictures[0])
    for page, picture in zip(open_pictures(tmp_path / "a.tif"), pictures, strict=True):
        assert (page.notes, page.grey) == ([], picture.shape[2] == 1)
        assert np.array_equal(read(page), picture)


@pytest.mark.parametrize("marked", [True, False])
def test_thumbnail_is_never_taken(tmp_path, marked):
    picture = frames(1, 61, 90)[0]
    small = picture[::4, ::4]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(small, photometric="rgb", subfiletype=1 if marked else 0)
        file.write(picture, photometric="rgb")
    reader = open_image(tmp_path / "a.tif")
    assert np.array_equal(read(reader), picture)
    assert reader.notes == ["page 2 is enlarged: what comes before it is its thumbnail or mask"]
    assert [page.width for page in open_pictures(tmp_path / "a.tif")] == [90]


def test_small_page_of_another_shape_is_no_thumbnail(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(frames(1, 20, 20)[0], photometric="rgb")
        file.write(frames(1, 61, 90)[0], photometric="rgb")
    assert open_image(tmp_path / "a.tif").width == 20
    assert len(open_pictures(tmp_path / "a.tif")) == 2


def test_pyramid_is_one_picture(tmp_path):
    image = pyvips.Image.new_from_array(frames(1, 600, 700)[0]).copy(interpretation="srgb")
    image.tiffsave(str(tmp_path / "a.tif"), tile=True, pyramid=True)
    reader = open_image(tmp_path / "a.tif")
    assert (reader.width, reader.notes) == (700, [])


def test_gain_map_is_said(tmp_path):
    light = pyvips.Image.black(64, 48, bands=3).linear(1, [2.0, 1, 0.5]).copy(interpretation="scrgb")
    light.uhdrsave(str(tmp_path / "a.jpg"))
    reader = open_image(tmp_path / "a.jpg")
    assert reader.notes == ["the gain map is lost: the picture is as screens without HDR show it"]
    assert (reader.width, reader.height) == (64, 48)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif", "avif"])
def test_one_picture_needs_no_note(tmp_path, suffix):
    Image.fromarray(frames()[0]).save(tmp_path / f"a.{suffix}")
    assert open_image(tmp_path / f"a.{suffix}").notes == []
    (reader,) = open_pictures(tmp_path / f"a.{suffix}")
    assert (reader.frames, reader.notes) == (1, [])
