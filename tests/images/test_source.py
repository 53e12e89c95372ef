"""What may happen to a file before it is decoded: other kinds, pipes, shrinking, too many pixels."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
import pyvips
import tifffile

from dvmsr.errors import ImageReadError
from dvmsr.images import limits, open_image, read_image, source
from dvmsr.images.limits import MAX_PIXELS, available_memory
from dvmsr.images.tiff_structure import strip_bytes


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def write(path, pixels, **options):
    pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").write_to_file(str(path), **options)
    return path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "SVG is not supported"),
        (b'<?xml version="1.0"?>\n<svg width="9" height="9"/>', "SVG is not supported"),
        (b"3 2\n1 2 3\n4 5 6\n", "not an image"),
        (b"%PDF-1.7\n", "PDF is not supported"),
        (b"8BPS\0\1", "Photoshop is not supported"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR is not supported"),
        (b"Pf\n1 1\n-1.0\n\0\0\0\0", "PFM is not supported"),
        (b"qoif\0\0\0\1\0\0\0\1\3\0", "QOI is not supported"),
        (b"P7\nWIDTH 1\nHEIGHT 1\n", "PAM is not supported"),
        (b"\0\0\1\0\1\0\x10\x10", "ICO is not supported"),
        (b"#?RADIANCE\n", "Radiance HDR is not supported"),
    ],
)
def test_other_kinds_are_named_whatever_their_suffix(tmp_path, content, told):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=rf"image\.png: {told}.* expected PNG, JPEG, "):
        open_image(path)


def test_box_that_claims_gigabytes(tmp_path):
    """Looking through them took minutes."""
    path = tmp_path / "image.avif"
    path.write_bytes(b"\xff\xff\xff\xffftypmif1" + bytes(500))
    start = time.monotonic()
    with pytest.raises(ImageReadError):
        open_image(path)
    assert time.monotonic() - start < 5


def test_message_that_is_no_text(tmp_path):
    """Of a property of the file that libvips names in bytes; pyvips could tell of no error any more."""
    write(tmp_path / "whole.avif", noise(8, 8))
    content = bytearray((tmp_path / "whole.avif").read_bytes())
    at = content.index(b"pixi")
    content[at : at + 4] = b"p\xe3\xffi"
    # Marked as essential, so that it may not be passed over.
    path = tmp_path / "image.avif"
    path.write_bytes(content)
    messages = []
    associations = content.index(b"ipma")
    places = range(associations + 8, associations + 32)
    for place in places:
        changed = content.copy()
        changed[place] |= 0x80
        path.write_bytes(changed)
        try:
            read_image(path)
        except ImageReadError as error:
            messages.append(str(error))
    assert any("\N{REPLACEMENT CHARACTER}" in message for message in messages)
    assert not any("\n" in message for message in messages)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageReadError, match="not an image"):
        open_image(tmp_path / "text.png")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("photo.nef", b"MM\0*\0\0\0\x08"),
        ("photo.DNG", b"II*\0\x08\0\0\0"),
        ("renamed.tif", b"II*\0\x10\0\0\0CR\2\0"),
        ("photo.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
        ("photo", b"FUJIFILMCCD-RAW 0201"),
        ("photo.orf", b"IIRO\x08\0\0\0"),
        ("photo.x3f", b"of a kind that nobody knows"),
    ],
)
def test_raw_data_of_cameras(tmp_path, name, start):
    """It was called damaged, or its thumbnail was enlarged."""
    (tmp_path / name).write_bytes(start + bytes(100))
    with pytest.raises(ImageReadError, match=r": raw data of a camera: develop it first"):
        open_image(tmp_path / name)
    # What a program named so and is an image is one.
    write(tmp_path / "image.png", noise(4, 4)).rename(tmp_path / "image.dng")
    assert open_image(tmp_path / "image.dng").width == 4


def test_files_of_libvips_are_refused(tmp_path):
    path = tmp_path / "image.v"
    write(path, noise(4, 4))
    with pytest.raises(ImageReadError, match="not an image"):
        open_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif", "avif", "png", "tif"])
def test_file_that_shrinks_while_it_is_read(tmp_path, suffix):
    """It ended the process by SIGBUS where libvips had mapped the file."""
    path = write(tmp_path / f"image.{suffix}", noise(300, 200))
    program = """
import os, sys
from dvmsr.errors import ImageReadError
from dvmsr.images import open_image
reader = open_image(sys.argv[1])
os.truncate(sys.argv[1], 100)
try:
    print(sum(len(block) for block in reader.blocks(16)))
except ImageReadError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    held = suffix not in ("png", "tif")
    assert done.stdout == "300\n" if held else done.stdout.startswith(f"{path}: damaged or cut short")


def test_named_pipe(tmp_path):
    pixels = noise(30, 20)
    content = write(tmp_path / "image.png", pixels).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    reader = open_image(pipe)
    writer.join()
    for _ in range(2):
        assert np.array_equal(np.concatenate(list(reader.blocks(7))), pixels)


def test_pipe_without_a_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_SECONDS_FOR_A_WRITER", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageReadError, match="nobody writes into it"):
        open_image(tmp_path / "pipe")


def test_device():
    with pytest.raises(ImageReadError, match="/dev/zero: expected an image file, got a device"):
        open_image("/dev/zero")


def empty_png(path, width, height):
    """The header of a large grey image and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))
    return path


def test_most_pixels(tmp_path):
    path = empty_png(tmp_path / "image.png", 25_000, MAX_PIXELS // 25_000 + 1)
    with pytest.raises(
        ImageReadError, match=r"has 25000x20001 pixels, more than the 500,000,000 .*max_pixels="
    ):
        open_image(path)
    small = write(tmp_path / "small.png", noise(5, 4))
    assert open_image(small, max_pixels=20).width == 4
    with pytest.raises(ImageReadError, match="has 4x5 pixels, more than the 19 that are taken"):
        open_image(small, max_pixels=19)


def test_row_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LITTLE_BYTES", 0)
    monkeypatch.setattr(limits, "available_memory", lambda: 1 << 30)
    path = empty_png(tmp_path / "image.png", 10_000_000, 2)
    with pytest.raises(ImageReadError, match="needs about 2,441 MiB of memory, and 1,024 MiB are free"):
        open_image(path)


@pytest.mark.parametrize(
    ("suffix", "options", "bytes_per_pixel"),
    [
        ("jpg", {}, 0),
        ("jpg", {"interlace": True}, 6),
        ("png", {}, 0),
        ("png", {"interlace": True}, 3),
        ("webp", {}, 8),
        ("avif", {}, 16),
        ("gif", {}, 5),
    ],
)
def test_memory_is_known_before_decoding(tmp_path, monkeypatch, suffix, options, bytes_per_pixel):
    path = write(tmp_path / f"image.{suffix}", noise(60, 40), **options)
    rows = open_image(path).decoding_bytes - bytes_per_pixel * 60 * 40
    assert rows in (40 * 3 * 256, 40 * 4 * 256)
    monkeypatch.setattr(limits, "LITTLE_BYTES", 0)
    monkeypatch.setattr(limits, "available_memory", lambda: 40 * 3 * 256 + 50)
    if bytes_per_pixel:
        with pytest.raises(ImageReadError, match=r"needs about .* MiB of memory"):
            open_image(path)
    else:
        open_image(path)


def test_whole_image_that_does_not_fit(tmp_path, monkeypatch):
    path = write(tmp_path / "image.png", noise(2000, 100))
    monkeypatch.setattr(limits, "LITTLE_BYTES", 0)
    monkeypatch.setattr(limits, "available_memory", lambda: 500_000)
    assert open_image(path).height == 2000
    with pytest.raises(ImageReadError, match="of memory"):
        read_image(path)


def test_limit_on_the_address_space():
    program = """
import resource
from dvmsr.images.limits import available_memory
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
print(available_memory())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    free = available_memory()
    assert free is not None
    assert 0 < int(done.stdout) < min(1 << 32, free + (1 << 30))


@pytest.mark.parametrize(
    ("group", "files", "left"),
    [
        ("0::/a/b", {"a/b/memory.max": "1000", "a/b/memory.current": "300"}, 700),
        ("0::/a/b", {"a/memory.max": "1000", "a/memory.current": "300", "a/b/memory.max": "max"}, 700),
        (
            "4:memory:/a",
            {"memory/a/memory.limit_in_bytes": "1000", "memory/a/memory.usage_in_bytes": "900"},
            100,
        ),
        (
            "0::/",
            {"memory.max": "9", "memory.current": "9", "memory.stat": "anon 3\ninactive_file 5\n"},
            5,
        ),
    ],
)
def test_limit_of_the_control_group(tmp_path, monkeypatch, group, files, left):
    process, groups = tmp_path / "self", tmp_path / "cgroup"
    process.mkdir()
    (process / "cgroup").write_text(f"1:cpu:/\n{group}\n")
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(content)
        (groups / name).with_name("memory.stat").touch()
    monkeypatch.setattr(limits, "_PROCESS", process)
    monkeypatch.setattr(limits, "_CGROUPS", groups)
    assert available_memory() == left


def damaged(content, at, replacement):
    return content[:at] + replacement + content[at + len(replacement) :]


@pytest.mark.parametrize("replacement", [b"\xff\xd9", b"\xff\xfe\xff\xff\xfe" * 40])
def test_jpeg_with_wrong_pixels_is_damaged(tmp_path, replacement):
    """libjpeg only warns of these, and fills in other pixels."""
    content = write(tmp_path / "image.jpg", noise(200, 300)).read_bytes()
    (tmp_path / "image.jpg").write_bytes(damaged(content, len(content) // 2, replacement))
    reader = open_image(tmp_path / "image.jpg")
    # Before the first row is given out.
    with pytest.raises(ImageReadError, match="damaged or cut short"):
        next(reader.blocks(1))


def test_jpeg_of_harmless_oddities_is_read(tmp_path):
    content = write(tmp_path / "image.jpg", noise(20, 30)).read_bytes()
    expected = read_image(tmp_path / "image.jpg")
    # libjpeg warns of bytes between the parts of a file.
    scan = content.index(b"\xff\xda")
    (tmp_path / "image.jpg").write_bytes(content[:scan] + b"\0\0\0" + content[scan:])
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_file(str(tmp_path / "image.jpg"), fail_on="warning").avg()
    assert np.array_equal(read_image(tmp_path / "image.jpg"), expected)


def test_planes_of_a_tiff_are_counted_by_their_strips(tmp_path):
    """A file of a few hundred bytes can claim one strip as high as the image."""
    path = tmp_path / "planes.tif"
    image = np.zeros((3, 64, 40), np.uint16)
    tifffile.imwrite(path, image, planarconfig="separate", photometric="rgb", rowsperstrip=64)
    with path.open("rb") as file:
        assert strip_bytes(file, 0) == 64 * 40 * 3 * 2
        assert strip_bytes(file, 1) == 0
    together = tmp_path / "together.tif"
    tifffile.imwrite(together, np.moveaxis(image, 0, 2), photometric="rgb", rowsperstrip=64)
    with together.open("rb") as file:
        assert strip_bytes(file, 0) == 0
    difference = open_image(path).decoding_bytes - open_image(together).decoding_bytes
    assert difference == 64 * 40 * 3 * 2
