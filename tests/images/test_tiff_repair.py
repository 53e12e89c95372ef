"""TIFF files that are whole, and that libvips refuses."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from dvmsr.errors import ImageReadError
from dvmsr.images import open_image, read_image


def ramp(height, width, samples, bits):
    rng = np.random.default_rng(bits)
    return rng.integers(0, 1 << bits, (height, width, samples))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("tag", "value"), [(274, 0), (274, 9), (274, 65535), (296, 0), (296, 4)], ids=lambda value: str(value)
)
def test_odd_values_that_no_pixel_depends_on(write_tiff, tag, value, order):
    pixels = ramp(12, 16, 3, 8)
    tags = {tag: (3, [value]), 282: (5, [300, 1]), 283: (5, [300, 1])}
    assert np.array_equal(
        read_image(write_tiff(pixels, bits=8, photometric=2, order=order, tags=tags)), pixels
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
def test_any_number_of_bits(write_tiff, bits, order):
    pixels = ramp(300, 11, 1, bits)
    path = write_tiff(pixels, bits=bits, photometric=1, order=order)
    assert open_image(path).grey
    expected = np.round(pixels * (65535 / ((1 << bits) - 1)))
    assert np.array_equal(read_image(path), np.repeat(expected, 3, axis=2))


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_channels_of_12_bits(write_tiff, samples):
    pixels = ramp(9, 7, samples, 12)
    more = {338: (3, [2])} if samples in (2, 4) else {}
    path = write_tiff(pixels, bits=12, photometric=1 if samples < 3 else 2, tags=more)
    reader = open_image(path)
    assert (reader.grey, reader.has_alpha, reader.dtype) == (samples < 3, samples in (2, 4), np.uint16)
    read = np.concatenate(list(reader.samples(4)))
    assert np.array_equal(read, np.round(pixels * (65535 / 4095)))


def test_pixels_and_memory_are_counted_as_pixels(write_tiff):
    path = write_tiff(ramp(50, 40, 3, 12), bits=12, photometric=2)
    open_image(path, max_pixels=50 * 40)
    # 256 rows on their way through libvips, and the pixels in 16 bits.
    assert open_image(path).decoding_bytes == 256 * 40 * 3 * 12 // 8 + 2 * 3 * 50 * 40


def test_white_can_be_zero(write_tiff):
    pixels = ramp(9, 7, 1, 12)
    read = read_image(write_tiff(pixels, bits=12, photometric=0))
    assert np.array_equal(read[..., :1], 65535 - np.round(pixels * (65535 / 4095)))


def test_metadata_of_12_bits(write_tiff):
    """The description is in Latin-1, which TIFF does not know, and programs write."""
    tags = {270: (2, b"Gr\xfc\xdfe\0"), 700: (7, b"<x/>")}
    reader = open_image(write_tiff(ramp(9, 7, 1, 12), bits=12, photometric=1, tags=tags))
    metadata = reader.metadata()
    assert metadata.xmp == b"<x/>"
    assert b"Gr\xfc\xdfe" in metadata.exif


def test_turned_pixels_of_12_bits(write_tiff):
    pixels = ramp(9, 7, 1, 12)
    read = read_image(write_tiff(pixels, bits=12, photometric=1, tags={274: (3, [6])}))
    assert np.array_equal(read[..., 0], np.rot90(np.round(pixels[..., 0] * (65535 / 4095)), -1))


@pytest.mark.parametrize("tags", [{317: (3, [2])}, {284: (3, [2])}, {322: (3, [16]), 323: (3, [16])}])
def test_12_bits_in_another_order_are_named(write_tiff, tags):
    path = write_tiff(ramp(9, 8, 1, 12), bits=12, photometric=1, tags=tags)
    with pytest.raises(ImageReadError, match=r"samples of 12 bits .* convert it to 16 bits first"):
        open_image(path)


def test_8_bit_lab(write_tiff):
    """CIE L* from 0 to 100 in 255 steps, a* and b* signed (TIFF 6.0, section 23)."""
    pixels = np.zeros((6, 5, 3), int)
    pixels[:2] = (255, 0, 0)
    pixels[2:4] = (136, 81, 70)
    read = read_image(write_tiff(pixels & 255, bits=8, photometric=8)) / 257
    assert np.abs(read[:2] - 255).max() < 1.5
    # L* 53.3, a* 81, b* 70 is nearly sRGB's red.
    assert np.abs(read[2:4] - (255, 0, 0)).max() < 6
    assert read[4:].max() < 1
    negative = read_image(write_tiff(pixels - (0, 60, 60) & 255, bits=8, photometric=8))
    # Away from red and yellow, to green and blue.
    assert (negative[2, 0] < read[2, 0] * 257).tolist() == [True, False, False]


@pytest.mark.parametrize("compression", [50000, 34925, 34887, 34712, 50002])
def test_compression_that_is_not_read_is_named(write_tiff, compression):
    path = write_tiff(ramp(9, 8, 3, 8), bits=8, photometric=2, tags={259: (3, [compression])})
    with pytest.raises(ImageReadError, match=r"of a kind that is not supported .*; convert it first"):
        read_image(path)


def test_other_pages_may_be_odd(tmp_path):
    pixels = ramp(8, 6, 3, 8).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for _ in range(2):
            file.write(pixels, photometric="rgb", extratags=[(274, 3, 1, 9, True)], metadata=None)
    assert np.array_equal(read_image(tmp_path / "pages.tif"), pixels)


@pytest.mark.parametrize("size", [8, 60, 100])
def test_cut_directories_are_an_error_of_reading(write_tiff, size):
    path = write_tiff(ramp(2, 8, 1, 12), bits=12, photometric=1)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ImageReadError, match="damaged or cut short"):
        read_image(path)
