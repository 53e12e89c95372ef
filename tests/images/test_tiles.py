"""Pictures in tiles, and small."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import pyvips

from dvmsr.errors import ImageReadError
from dvmsr.images import open_image, read_image, write_thumbnail, write_tiles
from dvmsr.images.tiles import OVERLAP, TILE_SIDE


@pytest.fixture
def picture(tmp_path):
    """Noise of 16 bits, a little larger than a tile: (1030, 1100, 3)."""
    pixels = np.random.default_rng(0).integers(0, 65536, (1030, 1100, 3), np.uint16)
    path = tmp_path / "noise.png"
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").write_to_file(str(path))
    return path, pixels


def test_tiles_are_the_picture_bit_by_bit(picture, tmp_path):
    path, pixels = picture
    tiles = write_tiles(open_image(path), tmp_path / "tiles")
    assert (tiles.width, tiles.height, tiles.levels) == (1100, 1030, 2)
    for column in range(2):
        for row in range(2):
            tile = read_image(tmp_path / "tiles" / "1" / f"{column}_{row}.png")
            left, top = (max(0, place * TILE_SIDE - OVERLAP) for place in (column, row))
            expected = pixels[
                top : (row + 1) * TILE_SIDE + OVERLAP, left : (column + 1) * TILE_SIDE + OVERLAP
            ]
            np.testing.assert_array_equal(tile, expected)
    assert read_image(tmp_path / "tiles" / "0" / "0_0.png").shape == (515, 550, 3)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["noise.png", "tiles"]


def test_colours_that_a_file_describes_become_a_profile(tmp_path):
    """PNG says them by gamma and chromaticities; tiles say them by a profile, as every format can."""
    path = tmp_path / "described.png"
    plain = tmp_path / "plain.png"
    pyvips.Image.black(40, 30, bands=3).copy(interpretation="srgb").write_to_file(str(plain))
    data = plain.read_bytes()
    chunk = b"gAMA" + struct.pack(">I", 100_000)
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + chunk + data[33:])
    for source, has_profile in ((path, True), (plain, False)):
        write_tiles(open_image(source), tmp_path / f"{source.stem}-tiles")
        # A name of its own: libvips keeps what it has read by that.
        small = tmp_path / f"{source.stem}-small.png"
        write_thumbnail(open_image(source), small, 16)
        for made in (tmp_path / f"{source.stem}-tiles" / "0" / "0_0.png", small):
            image = pyvips.Image.new_from_file(str(made))
            assert bool(image.get_typeof("icc-profile-data")) == has_profile


def test_thumbnail_fits_and_never_grows(picture, tmp_path):
    path, _ = picture
    write_thumbnail(open_image(path), tmp_path / "small.png", 100)
    assert read_image(tmp_path / "small.png").shape[:2] == (94, 100)
    write_thumbnail(open_image(tmp_path / "small.png"), tmp_path / "same.png", 500)
    assert read_image(tmp_path / "same.png").shape[:2] == (94, 100)


def test_damaged(picture, tmp_path):
    path, _ = picture
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(ImageReadError, match="damaged"):
        write_thumbnail(open_image(path), tmp_path / "small.png", 100)
    with pytest.raises(ImageReadError, match="damaged"):
        write_tiles(open_image(path), tmp_path / "tiles")
    assert [entry.name for entry in tmp_path.iterdir()] == ["noise.png"]
