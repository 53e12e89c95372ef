from __future__ import annotations

import numpy as np
import pytest
import pyvips
import tifffile

from dvmsr.errors import ArgumentError, ImageReadError
from dvmsr.images import open_image, read_image
from dvmsr.images.decoding import Decoder

INTERPRETATIONS = {
    (1, "uint8"): "b-w",
    (2, "uint8"): "b-w",
    (3, "uint8"): "srgb",
    (4, "uint8"): "srgb",
    (1, "uint16"): "grey16",
    (2, "uint16"): "grey16",
    (3, "uint16"): "rgb16",
    (4, "uint16"): "rgb16",
}


def pixels(height, width, channels, dtype=np.uint8):
    """Noise, since it shows any pixel that is out of place."""
    rng = np.random.default_rng(height * width * channels)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def to_vips(array):
    interpretation = INTERPRETATIONS[array.shape[2], array.dtype.name]
    return pyvips.Image.new_from_array(array).copy(interpretation=interpretation)


def colours_of(array):
    """What the reader makes of an array with or without alpha."""
    return np.repeat(array[..., :1], 3, axis=2) if array.shape[2] < 3 else array[..., :3]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_kinds_of_pixels(tmp_path, suffix, dtype, channels):
    array = pixels(13, 7, channels, dtype)
    path = tmp_path / f"image.{suffix}"
    to_vips(array).write_to_file(str(path))

    reader = open_image(path)
    assert (reader.width, reader.height) == (7, 13)
    assert (reader.dtype, reader.grey, reader.has_alpha) == (dtype, channels < 3, channels in (2, 4))
    blocks = list(reader.blocks(5))
    assert [block.shape for block in blocks] == [(5, 7, 3), (5, 7, 3), (3, 7, 3)]
    assert all(block.flags.c_contiguous and block.dtype == dtype for block in blocks)
    assert np.array_equal(np.concatenate(blocks), colours_of(array))
    assert np.array_equal(read_image(path), colours_of(array))


def test_blocks_can_be_read_again(tmp_path):
    path = tmp_path / "image.png"
    to_vips(pixels(9, 4, 3)).write_to_file(str(path))
    reader = open_image(path)
    first, second = (np.concatenate(list(reader.blocks(2))) for _ in range(2))
    assert np.array_equal(first, second)


def test_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "image.png"
    for seed in (3, 4):
        array = pixels(seed, 5, 3)
        to_vips(array).write_to_file(str(path))
        assert np.array_equal(read_image(path), array)


@pytest.mark.parametrize("rows", [1, 64])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation, rows):
    array = pixels(40, 24, 3)
    image = to_vips(array)
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    path = tmp_path / "image.tif"
    image.write_to_file(str(path))
    # EXIF 2.32, tag 0x112: where the first row and the first column are to be seen.
    upright = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.swapaxes(0, 1),
        6: np.rot90(array, -1),
        7: array[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(array),
    }[orientation]
    reader = open_image(path)
    assert (reader.height, reader.width) == upright.shape[:2]
    assert np.array_equal(np.concatenate(list(reader.blocks(rows))), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_kept_pixels_are_those_of_the_file(tmp_path, monkeypatch, orientation):
    """A small JPEG file is opened for its header and decoded once, a larger one once more for each look."""
    path = tmp_path / "image.jpg"
    image = to_vips(pixels(40, 24, 3)).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "Maker")
    image.write_to_file(str(path))
    loads, load = [], Decoder._load
    monkeypatch.setattr(Decoder, "_load", lambda *args, **options: loads.append(1) or load(*args, **options))
    found = []
    for held_bytes in (0, 40 * 24 * 3):
        monkeypatch.setattr("dvmsr.images.decoding._HELD_BYTES", held_bytes)
        loads.clear()
        reader = open_image(path)
        found.append((np.concatenate(list(reader.blocks(7))), reader.metadata()))
    assert len(loads) <= (2 if orientation < 3 else 3)
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert b"Maker" in found[1][1].exif


def test_palette_and_single_bits(tmp_path):
    black_and_white = 255 * (pixels(8, 9, 1) > 128).astype(np.uint8)
    path = tmp_path / "bits.png"
    to_vips(black_and_white).write_to_file(str(path), bitdepth=1)
    assert np.array_equal(read_image(path), colours_of(black_and_white))

    few_colours = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [9, 9, 9]]], np.uint8)
    path = tmp_path / "palette.png"
    to_vips(few_colours).write_to_file(str(path), palette=True)
    reader = open_image(path)
    assert not reader.grey
    assert np.array_equal(read_image(path), few_colours)


def test_cmyk_becomes_srgb(tmp_path):
    array = np.full((16, 16, 3), (200, 120, 60), np.uint8)
    path = tmp_path / "image.tif"
    to_vips(array).colourspace("cmyk").write_to_file(str(path))
    reader = open_image(path)
    assert (reader.grey, reader.has_alpha, reader.dtype) == (False, False, np.uint8)
    # Through the profile and back, a few levels are lost.
    assert np.abs(read_image(path).astype(int) - array).max() < 12


def test_lab_becomes_srgb(tmp_path):
    array = np.full((16, 16, 3), (200, 120, 60), np.uint8)
    path = tmp_path / "image.tif"
    to_vips(array).colourspace("lab").write_to_file(str(path))
    assert np.abs(read_image(path) / 257 - array).max() < 2


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "colours"), [("cielab", 3), ("separated", 4)])
def test_alpha_survives_the_conversion_of_colours(tmp_path, photometric, colours, bits):
    levels = np.array([0, 64, 100, 200, 255])
    dtype = np.dtype(f"uint{bits}")
    array = np.full((6, 5, colours + 1), 100, dtype)
    array[..., -1] = levels if bits == 8 else 257 * levels
    tifffile.imwrite(
        tmp_path / "image.tif",
        array,
        photometric=photometric,
        planarconfig="contig",
        extrasamples=["unassalpha"],
    )
    reader = open_image(tmp_path / "image.tif")
    assert reader.has_alpha
    samples = np.concatenate(list(reader.samples(4)))
    assert samples.shape == (6, 5, 4)
    alpha = samples[..., 3] / (1 if samples.dtype == np.uint8 else 257)
    assert np.array_equal(alpha, np.broadcast_to(levels, (6, 5)))


@pytest.mark.parametrize(
    ("cast", "interpretation"), [("float", "scrgb"), ("float", "b-w"), ("short", "srgb"), ("uint", "srgb")]
)
def test_other_kinds_of_pixels_are_refused(tmp_path, cast, interpretation):
    path = tmp_path / "image.tif"
    channels = 1 if interpretation == "b-w" else 3
    image = to_vips(pixels(8, 8, channels)).cast(cast).copy(interpretation=interpretation)
    image.write_to_file(str(path))
    with pytest.raises(ImageReadError, match=f"expected 8 or 16 bit .* got {channels} channels of {cast}"):
        open_image(path)


def test_brackets_in_a_name_are_no_options(tmp_path):
    path = tmp_path / "image.png[1]"
    array = pixels(4, 5, 3)
    path.write_bytes(to_vips(array).pngsave_buffer())
    assert np.array_equal(read_image(path), array)


def test_missing_file(tmp_path):
    with pytest.raises(ImageReadError, match=r"none\.png: no such file"):
        open_image(tmp_path / "none.png")


def test_folder(tmp_path):
    with pytest.raises(ImageReadError, match="got a folder"):
        open_image(tmp_path)


def test_empty_file(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ImageReadError, match="got an empty file"):
        open_image(path)


def test_unreadable_file(tmp_path):
    # A link to itself, because root may read every file.
    path = tmp_path / "loop.png"
    path.symlink_to(path)
    with pytest.raises(ImageReadError, match=r"cannot be read: .*symbolic links"):
        open_image(path)


def test_no_image(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("no image")
    with pytest.raises(ImageReadError, match="not an image"):
        open_image(path)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif", "gif"])
def test_truncated_file(tmp_path, suffix, part):
    path = tmp_path / f"image.{suffix}"
    to_vips(pixels(120, 80, 3)).write_to_file(str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_rows_must_be_positive(tmp_path):
    path = tmp_path / "image.png"
    to_vips(pixels(4, 4, 3)).write_to_file(str(path))
    with pytest.raises(ArgumentError):
        next(open_image(path).blocks(0))
