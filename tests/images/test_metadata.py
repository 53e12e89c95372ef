"""What belongs to a picture beside its pixels, from format to format, read by another library."""

from __future__ import annotations

import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from dvmsr.images import open_image, write_image

SIZE = (12, 8)
MAKER, UNKNOWN = 0x010F, 0xFE12
EXIF_GROUP, GPS_GROUP = 0x8769, 0x8825
TARGETS = ["png", "jpg", "webp", "avif", "tif"]
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description rdf:about='' xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6'"
    b" tiff:ImageWidth='12'/></rdf:RDF></x:xmpmeta>"
)


def exif_data(orientation=1):
    exif = Image.Exif()
    exif[MAKER], exif[0x8298], exif[0x0132] = "Maker", "Copyright me", "2020:01:01 00:00:00"
    exif[UNKNOWN] = "a tag that nobody knows"
    exif[0x0112] = orientation
    exif.get_ifd(EXIF_GROUP).update({0x9003: "2020:01:02 00:00:00", 0xA002: 12, 0xA003: 8, 0xA217: 7})
    exif.get_ifd(GPS_GROUP).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return exif


def held(path):
    """EXIF data of a file, its orientation and size apart."""
    with Image.open(path) as image:
        exif = image.getexif()
        main, group, gps = dict(exif), dict(exif.get_ifd(EXIF_GROUP)), dict(exif.get_ifd(GPS_GROUP))
    size = group.pop(0xA002, None), group.pop(0xA003, None)
    tags = {tag: main.get(tag) for tag in (MAKER, 0x8298, 0x0132, UNKNOWN)}
    return {**tags, **group, "gps": {tag: str(value) for tag, value in gps.items()}}, size, main.get(0x0112)


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8))


def enlarge(source, target, scale=2):
    reader = open_image(source)
    blocks = (b.repeat(scale, axis=0).repeat(scale, axis=1) for b in reader.blocks(4))
    write_image(target, blocks, source=reader, width=scale * reader.width, height=scale * reader.height)
    return reader.notes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
def test_exif_data_with_tags_that_nobody_knows(tmp_path, source, target):
    low, high = tmp_path / f"low.{source}", tmp_path / f"high.{target}"
    if source == "tif":
        # Pillow writes no EXIF directory into TIFF files.
        picture().save(tmp_path / "first.jpg", exif=exif_data().tobytes())
        enlarge(tmp_path / "first.jpg", low, scale=1)
    else:
        picture().save(low, exif=exif_data().tobytes())
    before, size, _ = held(low)
    assert (before[MAKER], before[0xA217]) == ("Maker", 7)
    assert enlarge(low, high) == []
    after, enlarged, orientation = held(high)
    assert after == before
    assert size == SIZE
    assert enlarged == (24, 16)
    assert orientation in (1, None)


@pytest.mark.parametrize("target", TARGETS)
def test_turned_picture(tmp_path, target):
    picture().save(tmp_path / "low.jpg", exif=exif_data(6).tobytes(), xmp=XMP)
    enlarge(tmp_path / "low.jpg", tmp_path / f"high.{target}")
    with Image.open(tmp_path / f"high.{target}") as image:
        assert image.size == (16, 24)
        assert image.getexif().get(0x0112, 1) == 1
        packet = image.info.get("xmp") or image.tag_v2[700]
    assert b"tiff:Orientation='1'" in packet
    assert b"tiff:ImageWidth='16'" in packet
    assert held(tmp_path / f"high.{target}")[1] == (16, 24)


def test_orientation_that_only_xmp_has_is_left_as_it_is(tmp_path):
    picture().save(tmp_path / "low.jpg", xmp=XMP)
    enlarge(tmp_path / "low.jpg", tmp_path / "high.jpg")
    with Image.open(tmp_path / "high.jpg") as image:
        assert b"tiff:Orientation='6'" in image.info["xmp"]


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_made_up(tmp_path, target):
    picture().save(tmp_path / "low.png")
    enlarge(tmp_path / "low.png", tmp_path / f"high.{target}")
    data = (tmp_path / f"high.{target}").read_bytes()
    assert re.search(rb"Exif|eXIf|EXIF|pHYs|xmp|iCCP|ICCP|colrprof", data) is None
    with Image.open(tmp_path / f"high.{target}") as image:
        assert not set(image.getexif()) & {MAKER, EXIF_GROUP, 0x011A}
        assert "dpi" not in image.info or target == "tif"
    if target == "tif":
        with tifffile.TiffFile(tmp_path / "high.tif") as file:
            assert {282, 283, 296, 270, 305, 306} & {tag.code for tag in file.pages[0].tags} == set()


def test_text_that_ascii_cannot_say_is_in_the_xmp_data_of_a_tiff_file_too(tmp_path):
    """The tag is of ASCII by the standard, and programs differ in what they make of other bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", "日本 <žluť> & \x01")
    Image.new("RGB", (8, 6)).save(tmp_path / "low.png", pnginfo=text)
    enlarge(tmp_path / "low.png", tmp_path / "high.tif")
    with tifffile.TiffFile(tmp_path / "high.tif") as file:
        packet = file.pages[0].tags[700].value
        assert file.pages[0].tags[270].value.startswith("Description: 日本")
    root = ElementTree.fromstring(packet)
    (item,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")
    assert item.text == "Description: 日本 <žluť> & \ufffd"
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", "plain")
    Image.new("RGB", (8, 6)).save(tmp_path / "low.png", pnginfo=text)
    enlarge(tmp_path / "low.png", tmp_path / "plain.tif")
    with tifffile.TiffFile(tmp_path / "plain.tif") as file:
        assert 700 not in file.pages[0].tags


@pytest.mark.parametrize("source", ["jpg", "png", "tif"])
@pytest.mark.parametrize("target", ["jpg", "png", "tif"])
def test_resolution(tmp_path, source, target):
    picture().save(tmp_path / f"low.{source}", dpi=(300, 150))
    assert enlarge(tmp_path / f"low.{source}", tmp_path / f"high.{target}") == []
    with Image.open(tmp_path / f"high.{target}") as image:
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-3)


def test_old_preview_is_not_kept(tmp_path):
    preview = b"\xff\xd8 the old picture \xff\xd9"
    main = struct.pack("<HHHI4sI", 1, MAKER, 2, 4, b"Abc\0", 26)
    second = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 56, 514, 4, 1, len(preview), 0)
    block = b"II*\0\x08\0\0\0" + main + second + preview
    picture().save(tmp_path / "low.jpg", exif=b"Exif\0\0" + block)
    for target in TARGETS:
        enlarge(tmp_path / "low.jpg", tmp_path / f"high.{target}")
        assert b"the old picture" not in (tmp_path / f"high.{target}").read_bytes()
        with Image.open(tmp_path / f"high.{target}") as image:
            assert image.getexif()[MAKER] == "Abc"


def test_damaged_exif_data_is_left_out_and_said(tmp_path):
    picture().save(tmp_path / "low.jpg", exif=b"Exif\0\0II*\0\xff\xff\0\0")
    assert enlarge(tmp_path / "low.jpg", tmp_path / "high.png") == ["the EXIF data is damaged and left out"]


TEXTS = {"parameters": "a cat\nSteps: 20", "Title": "Übung 猫", "Copyright": "me"}


def write_texts(path):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", TEXTS["parameters"])
    info.add_itxt("Title", TEXTS["Title"])
    info.add_text("Copyright", TEXTS["Copyright"], zip=True)
    picture().save(path, pnginfo=info)


def test_texts_of_png(tmp_path):
    write_texts(tmp_path / "low.png")
    assert enlarge(tmp_path / "low.png", tmp_path / "high.png") == []
    with Image.open(tmp_path / "high.png") as image:
        assert image.text == TEXTS


def test_texts_in_formats_with_less_room(tmp_path):
    write_texts(tmp_path / "low.png")
    lines = [f"{keyword}: {text}" for keyword, text in TEXTS.items()]
    assert enlarge(tmp_path / "low.png", tmp_path / "high.jpg") == []
    with Image.open(tmp_path / "high.jpg") as image:
        comments = [data.decode() for marker, data in image.applist if marker == "COM"]
    assert comments == lines
    assert enlarge(tmp_path / "low.png", tmp_path / "high.tif") == []
    with tifffile.TiffFile(tmp_path / "high.tif") as file:
        assert file.pages[0].tags[270].value == "\n".join(lines)
    for name, suffix in (("WebP", "webp"), ("AVIF", "avif")):
        notes = enlarge(tmp_path / "low.png", tmp_path / f"high.{suffix}")
        assert notes == [f"the text or comment is lost: {name} holds none"]


def test_description_is_not_replaced_by_a_text(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "described"
    picture().save(tmp_path / "low.jpg", exif=exif.tobytes(), comment=b"a comment")
    assert enlarge(tmp_path / "low.jpg", tmp_path / "high.tif") == [
        "the text or comment is lost: TIFF holds one, and has a description"
    ]
    with tifffile.TiffFile(tmp_path / "high.tif") as file:
        assert file.pages[0].tags[270].value == "described"


def test_what_is_too_large_for_a_segment_is_said(tmp_path):
    packet = XMP.replace(b"</rdf:RDF>", b" " * 70_000 + b"</rdf:RDF>")
    picture().save(tmp_path / "low.webp", xmp=packet, lossless=True)
    (note,) = enlarge(tmp_path / "low.webp", tmp_path / "high.jpg")
    assert re.fullmatch(r"EXIF or XMP data of 70,\d\d\d bytes is lost: JPEG holds 65,533", note)
    with Image.open(tmp_path / "high.jpg") as image:
        assert "xmp" not in image.info
    assert enlarge(tmp_path / "low.webp", tmp_path / "high.png") == []


@pytest.mark.parametrize("source", ["jpg", "gif"])
def test_comments(tmp_path, source):
    picture().save(tmp_path / f"low.{source}", comment="für alle".encode())
    enlarge(tmp_path / f"low.{source}", tmp_path / "high.jpg")
    enlarge(tmp_path / f"low.{source}", tmp_path / "high.png")
    with Image.open(tmp_path / "high.jpg") as image:
        assert image.info["comment"].decode() == "für alle"
    with Image.open(tmp_path / "high.png") as image:
        assert image.text == {"Comment": "für alle"}


def test_text_that_swells_is_left_out(tmp_path):
    bomb = b"Bomb\0\0" + zlib.compress(bytes(64 << 20), 9)
    write_texts(tmp_path / "low.png")
    content = (tmp_path / "low.png").read_bytes()
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    (tmp_path / "low.png").write_bytes(content[:33] + chunk + content[33:])
    enlarge(tmp_path / "low.png", tmp_path / "high.png")
    with Image.open(tmp_path / "high.png") as image:
        assert image.text == TEXTS


@pytest.mark.parametrize("target", TARGETS)
def test_profile_with_a_byte_too_many(tmp_path, target):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().save(tmp_path / "low.jpg", icc_profile=profile + b"\0")
    assert enlarge(tmp_path / "low.jpg", tmp_path / f"high.{target}") == []
    with Image.open(tmp_path / f"high.{target}") as image:
        assert image.info["icc_profile"] == profile


def test_profile_that_is_cut_short_is_said(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().save(tmp_path / "low.jpg", icc_profile=profile[:-9])
    notes = enlarge(tmp_path / "low.jpg", tmp_path / "high.png")
    assert notes == ["the colour profile is damaged, and left out"]


def test_large_profile_spans_segments(tmp_path):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile += bytes(200_000)
    profile[:4] = struct.pack(">I", len(profile))
    picture().save(tmp_path / "low.jpg", icc_profile=bytes(profile))
    enlarge(tmp_path / "low.jpg", tmp_path / "high.jpg")
    with Image.open(tmp_path / "high.jpg") as image:
        assert image.info["icc_profile"] == bytes(profile)


def test_iptc_data(tmp_path):
    # A resource of another kind, then one of IPTC: dataset 2:120, "caption".
    other = b"8BIM\x03\xed\x01x\0\0\0\x01y\0"
    data = b"Photoshop 3.0\0" + other + b"8BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption"
    image = pyvips.Image.black(12, 8, bands=3).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.blob_type, "iptc-data", data)
    image.write_to_file(str(tmp_path / "low.jpg"))
    for target, kept in (("jpg", True), ("tif", True), ("png", False), ("webp", False), ("avif", False)):
        notes = enlarge(tmp_path / "low.jpg", tmp_path / f"high.{target}")
        assert (b"caption" in (tmp_path / f"high.{target}").read_bytes()) == kept
        assert any("IPTC" in note for note in notes) != kept
    with tifffile.TiffFile(tmp_path / "high.tif") as file:
        assert bytes(file.pages[0].tags[33723].value) == data[-12:]
    enlarge(tmp_path / "high.tif", tmp_path / "again.jpg", scale=1)
    assert pyvips.Image.new_from_file(str(tmp_path / "again.jpg")).get("iptc-data")[-12:] == data[-12:]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("target", TARGETS)
def test_files_stay_whole(tmp_path, channels, target):
    """The containers that are written anew are read by libvips and by Pillow, with every pixel."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    picture().convert("RGBA").convert(mode).save(tmp_path / "low.png", exif=exif_data().tobytes())
    reader = open_image(tmp_path / "low.png")
    high = tmp_path / f"high.{target}"
    samples = next(reader.samples(8))
    rgb = samples[..., :1].repeat(3, axis=2) if channels < 3 else samples[..., :3]
    block = np.concatenate([rgb, samples[..., 3 if channels == 4 else 1 :]], axis=2)[
        ..., : 3 + (channels % 2 == 0)
    ]
    write_image(high, [block], source=reader, width=reader.width, height=reader.height)
    by_vips = pyvips.Image.new_from_file(str(high), fail_on="warning").numpy()
    with Image.open(high) as image:
        by_pillow = np.asarray(
            image.convert(mode if channels < 3 and target in ("png", "tif") else image.mode)
        )
    assert by_vips.reshape(8, 12, -1).shape == by_pillow.reshape(8, 12, -1).shape
    if target in ("png", "tif"):
        assert np.array_equal(by_vips.reshape(samples.shape), samples)
        assert np.array_equal(by_pillow.reshape(samples.shape), samples)
