"""Every page or every frame of a file, from file to file."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from dvmsr import NetworkConfig, Upscaler
from dvmsr.batch.plan import plan_files
from dvmsr.errors import ArgumentError, ImageReadError, ImageWriteError
from dvmsr.images import Encoding, imresize, spread_colours
from dvmsr.inference.files import FileOptions, upscale_file

SCALE = 2
ALL = FileOptions(pages="all")


@pytest.fixture(scope="module")
def upscaler(make_weights):
    return Upscaler(
        make_weights(NetworkConfig(scale=SCALE, channels=16, blocks=1, vimms_per_block=1)), threads=1
    )


def noise(height, width, channels=3):
    return np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)


def enlarged(upscaler, pixels):
    """As a picture of its own; of alpha above 0."""
    colours = (
        np.broadcast_to(pixels[..., :1], (*pixels.shape[:2], 3)) if pixels.shape[2] < 3 else pixels[..., :3]
    )
    high = upscaler.upscale(np.ascontiguousarray(colours))
    return np.floor(high.mean(axis=2, keepdims=True) + 0.5).astype(np.uint8) if pixels.shape[2] < 3 else high


def test_pages_of_tiff(tmp_path, upscaler):
    pages = [noise(30, 20), noise(9, 40), noise(12, 12, 1)]
    with tifffile.TiffWriter(tmp_path / "low.tif") as file:
        for number, page in enumerate(pages):
            kind = "rgb" if page.shape[2] == 3 else "minisblack"
            file.write(page.squeeze(), photometric=kind, description=f"page {number}", metadata=None)
    told = []
    done = upscale_file(
        upscaler, tmp_path / "low.tif", tmp_path / "high.tif", ALL, progress=lambda *both: told.append(both)
    )
    assert done.notes == ()
    assert (done.target_width, done.target_height) == (40, 60)
    with tifffile.TiffFile(tmp_path / "high.tif") as file:
        assert len(file.pages) == 3
        for number, page in enumerate(pages):
            expected = enlarged(upscaler, page)
            assert np.array_equal(file.pages[number].asarray().reshape(expected.shape), expected)
            assert file.pages[number].tags[270].value == f"page {number}"
    assert told == sorted(told)
    assert told[-1] == (sum(page.shape[0] * page.shape[1] for page in pages),) * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["high.tif", "low.tif"]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
@pytest.mark.parametrize("alpha", ["network", "bicubic"])
def test_frames_with_their_delays(tmp_path, upscaler, exact_where_flat, suffix, alpha):
    frames = [noise(20 + i, 24, 4)[:20] for i in range(3)]
    for frame in frames:
        frame[..., 3] = 255
        frame[5:9, 5:9, 3] = 0
    first, *more = map(Image.fromarray, frames)
    options = {"webp": {"lossless": True}, "gif": {"disposal": 2}}.get(suffix, {})
    path = tmp_path / f"low.{suffix}"
    first.save(path, save_all=True, append_images=more, duration=[100, 200, 300], loop=4, **options)
    options = FileOptions(pages="all", alpha=alpha, encoding=Encoding(lossless=True))
    done = upscale_file(upscaler, path, tmp_path / "high.webp", options)
    assert (done.notes, done.target_width, done.target_height) == ((), 48, 40)
    with Image.open(path) as low, Image.open(tmp_path / "high.webp") as high:
        # GIF counts how often the animation is repeated, WebP how often it is shown.
        # AVIF files of Pillow's are shown for ever.
        loop = low.info["loop"] + (suffix == "gif") if suffix != "avif" else 0
        assert (high.n_frames, high.size, high.info["loop"]) == (3, (48, 40), loop)
        for number, frame in enumerate(ImageSequence.Iterator(high)):
            pixels = np.asarray(frame.convert("RGBA"))
            assert frame.info["duration"] == (number + 1) * 100
            low.seek(number)
            (shown,) = spread_colours([np.asarray(low.convert("RGBA"))])
            assert np.array_equal(pixels[..., :3], enlarged(upscaler, shown))
            grey = shown[..., 3:].repeat(3, axis=2)
            if alpha == "network":
                expected = np.floor(upscaler.upscale(grey).mean(axis=2) + 0.5)
                expected = exact_where_flat(shown[..., 3], expected)
            else:
                expected = imresize(shown[..., 3], SCALE)
            assert np.array_equal(pixels[..., 3], expected)


def test_metadata_of_an_animation(tmp_path, upscaler):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    first, *more = (Image.fromarray(noise(12 + i, 16)[:12]) for i in range(2))
    first.save(tmp_path / "low.webp", save_all=True, append_images=more, exif=exif.tobytes(), duration=50)
    upscale_file(upscaler, tmp_path / "low.webp", tmp_path / "high.webp", ALL)
    with Image.open(tmp_path / "high.webp") as high:
        assert (high.n_frames, high.size, high.getexif()[0x010F]) == (2, (32, 24), "Maker")


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("low.gif", "high.png", "expected a WebP or GIF file for an animation of 2 frames"),
        ("low.gif", "high.tif", "expected a WebP or GIF file for an animation of 2 frames"),
        ("low.tif", "high.png", "expected a TIFF file for 2 pages"),
        ("low.tif", "high.webp", "expected a TIFF file for 2 pages"),
    ],
)
def test_format_that_holds_one_picture(tmp_path, upscaler, source, target, told):
    first, more = (Image.fromarray(noise(12 + i, 16)[:12]) for i in range(2))
    first.save(tmp_path / source, save_all=True, append_images=[more])
    with pytest.raises(ImageWriteError, match=told):
        upscale_file(upscaler, tmp_path / source, tmp_path / "new" / target, ALL)
    assert [path.name for path in tmp_path.iterdir()] == [source]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
def test_file_of_one_picture_is_as_ever(tmp_path, upscaler, suffix):
    Image.fromarray(noise(12, 16)).save(tmp_path / f"low.{suffix}")
    for name, options in (("first", FileOptions()), ("all", ALL)):
        upscale_file(upscaler, tmp_path / f"low.{suffix}", tmp_path / f"{name}.{suffix}", options)
    assert (tmp_path / f"first.{suffix}").read_bytes() == (tmp_path / f"all.{suffix}").read_bytes()


def test_damaged_page_leaves_nothing(tmp_path, upscaler):
    with tifffile.TiffWriter(tmp_path / "low.tif") as file:
        for _ in range(2):
            file.write(noise(60, 50), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(tmp_path / "low.tif") as file:
        offset = file.pages[1].dataoffsets[0]
    content = bytearray((tmp_path / "low.tif").read_bytes())
    content[offset : offset + 200] = bytes(200)
    (tmp_path / "low.tif").write_bytes(content)
    with pytest.raises(ImageReadError, match="damaged"):
        upscale_file(upscaler, tmp_path / "low.tif", tmp_path / "high.tif", ALL)
    assert [path.name for path in tmp_path.iterdir()] == ["low.tif"]


def test_unknown_choice(tmp_path, upscaler):
    Image.fromarray(noise(4, 4)).save(tmp_path / "low.png")
    with pytest.raises(ArgumentError, match='pages must be "first" or "all", got \'last\''):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", FileOptions(pages="last"))


def test_animation_into_gif(tmp_path, upscaler):
    """With its delays, and what that costs is said."""
    first, *more = (Image.fromarray(noise(12 + i, 16, 4)[:12]) for i in range(3))
    first.save(tmp_path / "low.webp", save_all=True, append_images=more, duration=[100, 200, 300], loop=4)
    done = upscale_file(upscaler, tmp_path / "low.webp", tmp_path / "high.gif", ALL)
    assert (done.pictures, done.pixels) == (3, 3 * 12 * 16)
    assert [note.partition(":")[0] for note in done.notes] == [
        "the colours of each picture become 256",
        "the transparency becomes all or nothing",
    ]
    with Image.open(tmp_path / "high.gif") as high:
        assert (high.n_frames, high.size, high.info["loop"]) == (3, (32, 24), 3)
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(high)] == [100, 200, 300]


def test_picture_before_an_animated_png_is_none_of_its_frames(tmp_path, upscaler):
    pictures = [Image.fromarray(noise(12 + i, 16)[:12]) for i in range(3)]
    pictures[0].save(
        tmp_path / "low.png", save_all=True, append_images=pictures[1:], default_image=True, duration=50
    )
    done = upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.gif", ALL)
    assert done.pictures == 2


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_an_animation_becomes_one_by_its_name(tmp_path, suffix):
    first, more = (Image.fromarray(noise(12 + i, 16)[:12]) for i in range(2))
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[more])
    (task,) = plan_files([tmp_path / f"a.{suffix}"], scale=SCALE, options=ALL).tasks
    assert (task.target, task.pictures) == (tmp_path / "a_x2.webp", 2)
    (task,) = plan_files([tmp_path / f"a.{suffix}"], scale=SCALE).tasks
    assert task.target.name == ("a_x2.png" if suffix == "gif" else f"a_x2.{suffix}")
    first.save(tmp_path / "one.gif")
    (task,) = plan_files([tmp_path / "one.gif"], scale=SCALE, options=ALL).tasks
    assert task.target.name == "one_x2.png"
