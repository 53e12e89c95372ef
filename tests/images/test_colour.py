"""How colours are to be shown, where no ICC profile says it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from dvmsr.images import open_image, write_image
from dvmsr.images.colour import ColourDescription

P3, PQ = (12, 13), (9, 16)
WIDE = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def seen_as_srgb(pixels, profile):
    """Pixels as another library shows them on a screen of sRGB."""
    image = Image.fromarray(pixels)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    screen = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, screen, intent, outputMode="RGB")).astype(int)


def colours():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def test_profile_of_code_points_shows_what_the_known_one_shows():
    ours = ColourDescription(code_points=P3).to_profile(grey=False)
    known = pyvips.Image.profile_load("p3")
    assert np.abs(seen_as_srgb(colours(), ours) - seen_as_srgb(colours(), known)).max() <= 2


def test_profile_of_srgb_changes_nothing():
    ours = ColourDescription(code_points=(1, 13)).to_profile(grey=False)
    assert np.abs(seen_as_srgb(colours(), ours) - colours()).max() <= 1


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(
    ("gamma", "value", "seen"), [(100_000, 128, 188), (55_556, 128, 146), (45_455, 90, 90)]
)
def test_profile_of_a_gamma(grey, gamma, value, seen):
    profile = ColourDescription(gamma=gamma).to_profile(grey=grey)
    pixels = np.full((2, 2) if grey else (2, 2, 3), value, np.uint8)
    assert np.abs(seen_as_srgb(pixels, profile) - seen).max() <= 1


@pytest.mark.parametrize(
    ("description", "usual"),
    [
        (ColourDescription(), True),
        (ColourDescription(gamma=45_455, chromaticities=SRGB), True),
        (ColourDescription(gamma=100_000), False),
        (ColourDescription(chromaticities=WIDE), False),
        (ColourDescription(code_points=(1, 13), gamma=100_000), True),
        (ColourDescription(code_points=(2, 2)), True),
        (ColourDescription(code_points=(1, 1)), True),
        (ColourDescription(code_points=P3), False),
        (ColourDescription(code_points=(2, 16)), False),
        (ColourDescription(code_points=(1, 8)), False),
    ],
)
def test_what_is_usual(description, usual):
    assert description.usual == usual


@pytest.mark.parametrize("chromaticities", [(0,) * 8, (1,) * 8, (31270, 32900) * 4])
def test_impossible_chromaticities_give_no_profile(chromaticities):
    assert ColourDescription(chromaticities=chromaticities).to_profile(grey=False) is None


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, *chunks, mode="RGB"):
    Image.fromarray(colours()).convert(mode).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + b"".join(chunk(*each) for each in chunks) + content[33:])
    return path


def chunks_of(path):
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
        at += 12 + size
    return found


def copy(source, target):
    reader = open_image(source)
    write_image(target, reader.blocks(16), source=reader, width=reader.width, height=reader.height)
    return reader.notes


GAMMA = (b"gAMA", struct.pack(">I", 100_000))
CHROMATICITIES = (b"cHRM", struct.pack(">8I", *WIDE))
CODE_POINTS = (b"cICP", bytes([*PQ, 0, 1]))


@pytest.mark.parametrize("chunks", [[GAMMA], [CHROMATICITIES], [GAMMA, CHROMATICITIES], [CODE_POINTS, GAMMA]])
def test_png_keeps_what_png_says(tmp_path, chunks):
    assert copy(write_png(tmp_path / "low.png", *chunks), tmp_path / "high.png") == []
    found = chunks_of(tmp_path / "high.png")
    assert {kind: found.get(kind) for kind, _ in chunks} == dict(chunks)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif", "avif"])
def test_other_formats_get_a_profile(tmp_path, suffix, mode):
    source = write_png(tmp_path / "low.png", GAMMA, mode=mode)
    assert copy(source, tmp_path / f"high.{suffix}") == []
    with Image.open(tmp_path / f"high.{suffix}") as image:
        profile = image.info["icc_profile"]
    grey = profile[16:20] == b"GRAY"
    pixels = np.full((2, 2) if grey else (2, 2, 3), 128, np.uint8)
    assert np.abs(seen_as_srgb(pixels, profile) - 188).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_what_no_profile_says_is_told(tmp_path, suffix):
    (note,) = copy(write_png(tmp_path / "low.png", CODE_POINTS), tmp_path / f"high.{suffix}")
    assert note.startswith("PQ with primaries 9 (H.273) is lost, so colours look different: ")
    with Image.open(tmp_path / f"high.{suffix}") as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("points", [P3, PQ])
def test_code_points_between_png_and_avif(tmp_path, points, mode):
    source = write_png(tmp_path / "low.png", (b"cICP", bytes([*points, 0, 1])), mode=mode)
    plain = write_png(tmp_path / "plain.png", mode=mode)
    reader = open_image(source)
    plain_reader = open_image(plain)

    def write(reader, target):
        samples = next(reader.samples(16))
        rgb = np.broadcast_to(samples[..., :1], (16, 16, 3)) if reader.grey else samples[..., :3]
        block = np.concatenate([rgb, samples[..., 3:]], axis=2)
        write_image(target, [block], source=reader, width=reader.width, height=reader.height)

    write(reader, tmp_path / "high.avif")
    write(plain_reader, tmp_path / "plain.avif")
    assert b"colrnclx" + struct.pack(">2H", *points) in (tmp_path / "high.avif").read_bytes()
    # By another library: the pixels of a file without code points.
    with Image.open(tmp_path / "high.avif") as ours, Image.open(tmp_path / "plain.avif") as plain:
        assert np.abs(np.asarray(ours).astype(int) - np.asarray(plain)).max() <= 1
    assert open_image(tmp_path / "high.avif").metadata().colours.code_points == points
    again = open_image(tmp_path / "high.avif")
    write(again, tmp_path / "again.png")
    assert chunks_of(tmp_path / "again.png")[b"cICP"] == bytes([*points, 0, 1])


def test_avif_of_p3_becomes_a_jpeg_with_a_profile(tmp_path):
    source = write_png(tmp_path / "low.png", (b"cICP", bytes([*P3, 0, 1])))
    copy(source, tmp_path / "middle.avif")
    assert copy(tmp_path / "middle.avif", tmp_path / "high.jpg") == []
    with Image.open(tmp_path / "high.jpg") as image:
        profile = image.info["icc_profile"]
    known = pyvips.Image.profile_load("p3")
    assert np.abs(seen_as_srgb(colours(), profile) - seen_as_srgb(colours(), known)).max() <= 2


def test_profile_of_grey(tmp_path):
    profile = ColourDescription(gamma=100_000).to_profile(grey=True)
    Image.fromarray(colours()[..., 0]).save(tmp_path / "low.png", icc_profile=profile)
    for suffix in ("png", "jpg", "webp", "tif", "avif"):
        notes = copy(tmp_path / "low.png", tmp_path / f"high.{suffix}")
        with Image.open(tmp_path / f"high.{suffix}") as image:
            assert (image.info.get("icc_profile") == profile) == (notes == [])


def test_profile_counts_more_than_gamma(tmp_path):
    profile = pyvips.Image.profile_load("p3")
    compressed = b"p3\0\0" + zlib.compress(profile)
    source = write_png(tmp_path / "low.png", (b"iCCP", compressed), GAMMA)
    copy(source, tmp_path / "high.png")
    found = chunks_of(tmp_path / "high.png")
    assert b"gAMA" not in found
    assert zlib.decompress(found[b"iCCP"].partition(b"\0")[2][1:]) == profile
