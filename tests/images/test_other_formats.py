"""Formats that other libraries than libvips read."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
import pyvips
from PIL import Image

from dvmsr.errors import ImageReadError, MissingExtraError
from dvmsr.images import limits, open_image, read_image, write_image


def noise(height=10, width=14, channels=3, dtype=np.uint8):
    rng = np.random.default_rng(0)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True).squeeze()


def waves(height=64, width=96, channels=3):
    """Slow, so that a lossy format stays close."""
    y, x = np.mgrid[:height, :width, :channels][:2]
    return (127.5 + 100 * np.sin(y / 9) * np.cos(x / 11)).astype(np.uint8)


def write_heic(path, pixels, mode, **options):
    pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes()).save(path, quality=90, **options)
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_heic(tmp_path, channels):
    pixels = waves(channels=channels)
    path = write_heic(tmp_path / "photo.heic", pixels, "RGBA" if channels == 4 else "RGB")
    reader = open_image(path)
    assert (reader.width, reader.height, reader.grey) == (96, 64, False)
    assert (reader.has_alpha, reader.dtype) == (channels == 4, np.uint8)
    read = np.concatenate(list(reader.samples(9)))
    assert np.abs(read.astype(int) - pixels).mean() < 2


def test_heic_of_10_bits(tmp_path):
    pixels = np.repeat(waves().astype(np.uint16) * 257, 1, axis=2)
    pixels[:20, :20] = 65535
    path = tmp_path / "photo.heic"
    pillow_heif.from_bytes("RGB;16", (96, 64), pixels.tobytes()).save(path, quality=100, bit_depth=10)
    read = read_image(path)
    assert read.dtype == np.uint16
    assert np.abs(read.astype(int) - pixels).mean() < 600
    assert read.max() == 65535


def test_phone_photograph(tmp_path):
    """On its side, with a wide-gamut profile and EXIF data."""
    profile = pyvips.Image.profile_load("p3")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Phone", 6
    image = Image.fromarray(waves())
    pillow_heif.from_pillow(image).save(
        tmp_path / "photo.heic", quality=90, exif=exif.tobytes(), icc_profile=profile
    )
    turned = pillow_heif.open_heif(tmp_path / "photo.heic").size
    reader = open_image(tmp_path / "photo.heic")
    assert (reader.width, reader.height) == turned
    write_image(
        tmp_path / "photo.jpg", reader.blocks(64), source=reader, width=reader.width, height=reader.height
    )
    with Image.open(tmp_path / "photo.jpg") as image:
        assert image.size == turned
        assert image.info["icc_profile"] == profile
        assert (image.getexif()[0x010F], image.getexif().get(0x0112, 1)) == ("Phone", 1)


@pytest.mark.parametrize(
    ("name", "mode", "pixels"),
    [
        ("image.bmp", "RGB", noise()),
        ("image.bmp", "L", noise(channels=1)),
        ("image.ppm", "RGB", noise()),
        ("image.pgm", "L", noise(channels=1)),
        ("image.jp2", "RGB", noise()),
        ("image.jp2", "RGBA", noise(channels=4)),
        ("image.j2k", "L", noise(channels=1)),
    ],
)
def test_formats_of_pillow(tmp_path, name, mode, pixels):
    Image.fromarray(pixels, mode).save(tmp_path / name)
    reader = open_image(tmp_path / name)
    assert (reader.grey, reader.has_alpha) == (mode == "L", mode == "RGBA")
    read = np.concatenate(list(reader.samples(3)))
    assert np.array_equal(read.squeeze(), pixels)


def test_pgm_of_16_bits(tmp_path):
    pixels = noise(channels=1, dtype=np.uint16)
    (tmp_path / "image.pgm").write_bytes(b"P5\n14 10\n65535\n" + pixels.astype(">u2").tobytes())
    reader = open_image(tmp_path / "image.pgm")
    assert reader.dtype == np.uint16
    assert np.array_equal(next(reader.samples(10))[..., 0], pixels)


def test_ppm_of_16_bits_is_read_with_8_and_that_is_said(tmp_path):
    pixels = noise(dtype=np.uint16)
    (tmp_path / "image.ppm").write_bytes(b"P6\n# made here\n14 10\n65535\n" + pixels.astype(">u2").tobytes())
    reader = open_image(tmp_path / "image.ppm")
    assert reader.notes == ["colours of 16 bits are read as 8: by Pillow PNM has no more"]
    assert np.abs(next(reader.samples(10)).astype(int) - pixels / 257).max() <= 1
    Image.fromarray(noise()).save(tmp_path / "image.ppm")
    assert open_image(tmp_path / "image.ppm").notes == []


def test_jpeg_2000_says_its_bits(tmp_path):
    path = tmp_path / "image.jp2"
    Image.fromarray(noise()).save(path)
    assert open_image(path).notes == []
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\x51") + 40
    assert content[at] == 7
    for component in range(3):
        content[at + 3 * component] = 15
    path.write_bytes(content)
    assert open_image(path).notes == ["colours of 16 bits are read as 8: by Pillow JPEG 2000 has no more"]


@pytest.mark.parametrize("part", [0.1, 0.5])
@pytest.mark.parametrize("name", ["image.heic", "image.bmp", "image.ppm", "image.jp2"])
def test_cut_short(tmp_path, name, part):
    path = tmp_path / name
    if name.endswith("heic"):
        write_heic(path, waves(), "RGB")
    else:
        Image.fromarray(noise(100, 100)).save(path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: damaged or cut short")
    assert "\n" not in str(caught.value)


def test_no_object_of_python_s_is_named(tmp_path):
    (tmp_path / "image.ppm").write_bytes(b"P6\nno numbers\n")
    with pytest.raises(ImageReadError, match=r"image\.ppm: damaged or cut short \([^<>]*\); get a"):
        open_image(tmp_path / "image.ppm")


@pytest.mark.parametrize("name", ["image.bmp", "image.ppm", "image.jp2"])
def test_large_images_are_refused_before_they_are_decoded(tmp_path, monkeypatch, name):
    Image.fromarray(noise(100, 100)).save(tmp_path / name)
    with pytest.raises(ImageReadError, match="more than the 9,999 that are taken"):
        open_image(tmp_path / name, max_pixels=9_999)
    monkeypatch.setattr(limits, "LITTLE_BYTES", 0)
    monkeypatch.setattr(limits, "available_memory", lambda: 70_000)
    with pytest.raises(ImageReadError, match="of memory"):
        open_image(tmp_path / name)


def test_missing_library_is_one_line(tmp_path):
    write_heic(tmp_path / "photo.heic", waves(), "RGB")
    Image.fromarray(noise()).save(tmp_path / "image.bmp")
    for name, module, package in (
        ("photo.heic", "pillow_heif", "pillow-heif"),
        ("image.bmp", "PIL", "pillow"),
    ):
        program = f"import sys; sys.modules['{module}'] = None\nfrom dvmsr.cli import main; main()"
        command = [sys.executable, "-c", program, "upscale", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"dvmsr: error: {tmp_path / name}: reading ")
        assert f"needs {package}: run pip install '.[heic]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert issubclass(MissingExtraError, ImportError)
