"""Two thousand damaged files of every format that is read: each is enlarged, or refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import pyvips
from PIL import Image

COMMAND = [sys.executable, "-c", "from dvmsr.cli import main; main()"]
SEED = 20240515
FILES = 2000
LONGEST_SECONDS = 10


def picture(height=14, width=17, channels=3):
    return np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)


def by_vips(suffix, array=None, interpretation="srgb", **options):
    image = pyvips.Image.new_from_array(picture() if array is None else array)
    return image.copy(interpretation=interpretation).write_to_buffer(suffix, **options)


def by_pillow(kind, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def sixteen_bits():
    return picture().astype(np.uint16) * 257


def whole_files():
    """One of each kind, by the suffix."""
    frames = [Image.fromarray(picture() // (1 + i)) for i in range(3)]
    return {
        "rgb.png": by_vips(".png"),
        "16.png": by_vips(".png", sixteen_bits(), "rgb16"),
        "palette.png": by_pillow("PNG", "P", transparency=3),
        "interlaced.png": by_vips(".png", interlace=True),
        "alpha.png": by_vips(".png", picture(channels=4)),
        "plain.jpg": by_vips(".jpg", Q=80),
        "progressive.jpg": by_vips(".jpg", interlace=True),
        "cmyk.jpg": by_pillow("JPEG", "CMYK"),
        "tiled.tif": by_vips(".tif", compression="deflate", tile=True, tile_width=16, tile_height=16),
        "lzw16.tif": by_vips(".tif", sixteen_bits(), "rgb16", compression="lzw", predictor="horizontal"),
        "pages.tif": by_pillow("TIFF", save_all=True, append_images=frames),
        "lossy.webp": by_vips(".webp"),
        "alpha.webp": by_vips(".webp", picture(channels=4), lossless=True),
        "plain.avif": by_vips(".avif", compression="av1"),
        "animated.gif": by_pillow("GIF", save_all=True, append_images=frames, duration=40),
        "plain.bmp": by_pillow("BMP"),
        "plain.ppm": by_pillow("PPM"),
        "plain.jp2": by_pillow("JPEG2000"),
    }


def damaged(content, chance):
    """Cut, with bits turned, a part overwritten, taken out, put in twice, or numbers set to their ends."""
    content = bytearray(content)
    # Half of it near the beginning, where what is said of the rest lies.
    place = chance.randrange(min(len(content), 64) if chance.random() < 0.5 else len(content))
    length = chance.choice([1, 2, 4, 16, 64])
    kind = chance.randrange(6)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        for _ in range(chance.randrange(1, 9)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        content[place : place + length] = chance.randbytes(length)
    elif kind == 3:
        del content[place : place + length]
    elif kind == 4:
        content[place:place] = content[place : place + length]
    else:
        content[place : place + length] = chance.choice([b"\x00", b"\xff", b"\x7f"]) * length
    return bytes(content)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two folders of damaged files, to be gone through at the same time."""
    chance = random.Random(SEED)
    whole = whole_files()
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(FILES):
        name, content = list(whole.items())[number % len(whole)]
        part = folder / f"{number % 2}"
        part.mkdir(exist_ok=True)
        (part / f"{number:04d}-{name}").write_bytes(damaged(content, chance))
    return folder


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_corpus(corpus, network, tmp_path, ours):
    before = {part.name: hashes(part) for part in corpus.iterdir()}
    assert sum(map(len, before.values())) == FILES
    processes = {}
    for part in corpus.iterdir():
        out, report = tmp_path / part.name, tmp_path / f"{part.name}.json"
        settings = ["--format", "png", "--max-pixels", "20000", "--threads", "1", "--report", str(report)]
        processes[part] = subprocess.Popen(
            [*COMMAND, "upscale", str(part), "-o", str(out), *network, *settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    enlarged = 0
    for part, process in processes.items():
        stdout, stderr = process.communicate(timeout=500)
        # Some are refused, and it is no signal that ended it.
        assert process.returncode == 2, stderr[-2000:]
        for line in stderr.splitlines():
            assert ours.fullmatch(line), f"a library's own: {line}"
        assert "Traceback" not in stdout + stderr
        assert hashes(part) == before[part.name], "originals were changed"
        report = json.loads((tmp_path / f"{part.name}.json").read_text())
        enlarged += check_report(report, part, tmp_path / part.name)
    # Damage that does no harm is common, harm too.
    assert FILES // 10 < enlarged < FILES * 9 // 10


def check_report(report, part, out):
    """Check what became of every file of a folder, and return how many were enlarged."""
    files = report["files"]
    assert {file["source"] for file in files} == {str(path) for path in part.iterdir()}
    assert {file["status"] for file in files} <= {"enlarged", "failed", "passed over"}
    done = [file for file in files if file["status"] == "enlarged"]
    # Nothing half, nothing hidden, nothing that was not asked for.
    assert {str(path) for path in out.iterdir()} == {file["target"] for file in done}
    for file in done:
        assert file["seconds"] < LONGEST_SECONDS, file
        pixels = pyvips.Image.new_from_file(file["target"], fail_on="warning")
        assert (pixels.width, pixels.height) == (4 * file["width"], 4 * file["height"]), file
        pixels.avg()
    return len(done)
