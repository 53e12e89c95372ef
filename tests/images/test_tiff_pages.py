"""Pages that are put together from TIFF files of one picture each."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from dvmsr.images import open_image, open_pictures, write_image
from dvmsr.images.metadata.tiff import append_picture


def write_page(tmp_path, number, shape):
    """A page with EXIF data of its own; returns its pixels and its file."""
    pixels = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
    exif = Image.Exif()
    exif[0x010F] = f"the maker of page {number}"
    exif.get_ifd(0x8769)[0x9003] = f"2020:01:0{number} 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    source = tmp_path / f"{number}.jpg"
    Image.fromarray(pixels).save(source, exif=exif.tobytes(), quality=100)
    reader = open_image(source)
    target = tmp_path / f"{number}.tif"
    write_image(target, reader.blocks(16), source=reader, width=reader.width, height=reader.height)
    return np.concatenate(list(reader.samples(16))), target


@pytest.mark.parametrize("classic_bytes", [4_000_000_000, 0])
def test_pages(tmp_path, monkeypatch, classic_bytes):
    monkeypatch.setattr("dvmsr.images.encoding._CLASSIC_TIFF_BYTES", classic_bytes)
    shapes = [(20, 30, 3), (600, 301, 3), (5, 7), (300, 300, 3)]
    pages = [write_page(tmp_path, number, shape) for number, shape in enumerate(shapes, start=1)]
    whole = pages[0][1]
    for _, addition in pages[1:]:
        append_picture(whole, addition)
    # By three readers.
    with tifffile.TiffFile(whole) as file:
        assert file.is_bigtiff == (classic_bytes == 0)
        for page, (pixels, _) in zip(file.pages, pages, strict=True):
            assert np.array_equal(page.asarray().reshape(pixels.shape), pixels)
    with Image.open(whole) as image:
        for number, (pixels, _) in enumerate(pages):
            image.seek(number)
            assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
            exif = image.getexif()
            assert exif[0x010F] == f"the maker of page {number + 1}"
            assert exif.get_ifd(0x8769)[0x9003] == f"2020:01:0{number + 1} 00:00:00"
            assert exif.get_ifd(0x8825)[1] == "N"
    for number, (pixels, _) in enumerate(pages):
        loaded = pyvips.Image.tiffload(str(whole), page=number).numpy()
        assert np.array_equal(loaded.reshape(pixels.shape), pixels)
    assert len(open_pictures(whole)) == len(pages)
