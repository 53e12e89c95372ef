"""Machines without libvips, or with a broken one."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dvmsr.errors import ImageReadError
from dvmsr.images import pillow_reading, reading

MISSING = "import sys; sys.modules['pyvips'] = None\n"
BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path, target=None):
        if name == "pyvips":
            raise OSError("libvips.so.42: cannot open shared object file")
sys.meta_path.insert(0, Broken())
"""
CAUSES = {
    MISSING: "import of pyvips halted; None in sys.modules",
    BROKEN: "libvips.so.42: cannot open shared object file",
}


@pytest.mark.parametrize("start", [MISSING, BROKEN], ids=["missing", "broken"])
def test_enlarging_files_names_the_cause(tmp_path, start):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    program = f"{start}from dvmsr.cli import main; main()"
    command = [sys.executable, "-c", program, "upscale", str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    cause = re.escape(CAUSES[start])
    assert re.fullmatch(
        rf"dvmsr: error: reading and writing image files needs libvips, [^\n]*\({cause}\); run pip [^\n]*\n",
        done.stderr,
    )


def test_pixels_are_read_without_it(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "photo.png")
    program = f"{MISSING}from dvmsr.images import read_image; print(read_image(sys.argv[1]).shape)"
    command = [sys.executable, "-c", program, str(tmp_path / "photo.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "(3, 4, 3)\n"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"])
def test_pillow_reads_what_libvips_reads(tmp_path, mode):
    path = tmp_path / "image.png"
    if mode == "PA":
        path = path.with_suffix(".tif")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    if mode == "I;16":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(pixels).convert("RGBA" if mode == "PA" else mode).save(path)
    read, want = pillow_reading.read_image(path), reading.read_image(path)
    assert read.dtype == want.dtype
    assert np.array_equal(read, want)


@pytest.mark.parametrize("mode", ["CMYK", "I", "F", "LAB"])
def test_pillow_refuses_what_would_differ(tmp_path, mode):
    path = tmp_path / "image.tif"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(
        ImageReadError, match=rf"^[^\n]*image\.tif: expected 8 or 16 bit [^\n]* got mode {mode};"
    ):
        pillow_reading.read_image(path)


def test_pillow_reads_large_photographs(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    Image.new("RGB", (40, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert pillow_reading.read_image(path).shape == (30, 40, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
