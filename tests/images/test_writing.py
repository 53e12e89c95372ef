from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

from dvmsr import images
from dvmsr.errors import ArgumentError, ImageReadError, ImageWriteError
from dvmsr.images import WRITABLE_SUFFIXES, open_image, read_image
from dvmsr.images.encoding import FORMATS
from dvmsr.images.metadata.jpeg import JpegHead
from dvmsr.images.metadata.png import PngHead

SCALE = 4
SUFFIXES = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "avif"]
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


def write_image(path, blocks, *, source, scale, **more):
    """As images.write_image, with the size as so many times the source's."""
    size = {"width": scale * source.width, "height": scale * source.height}
    images.write_image(path, blocks, source=source, **size, **more)


def picture(height, width, channels, dtype=np.uint8):
    """Slow waves, so that lossy formats stay close."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + c) + c) * np.cos(columns / (7 - c)) for c in range(channels)]
    return np.round((0.5 + 0.4 * np.stack(waves, axis=2)) * np.iinfo(dtype).max).astype(dtype)


def write_source(path, array, metadata=None, **options):
    image = pyvips.Image.new_from_array(array)
    image = image.copy(interpretation=INTERPRETATIONS[array.shape[2], array.dtype.name])
    for name, (kind, value) in (metadata or {}).items():
        image.set_type(kind, name, value)
    image.write_to_file(str(path), **options)
    return open_image(path)


def enlarged(reader, rows=5):
    """Every pixel repeated, in blocks as they come from the network."""
    for block in reader.samples(rows):
        colours = 1 if reader.grey else 3
        rgb = block[..., :colours].repeat(3 // colours, axis=2)
        rgba = np.concatenate([rgb, block[..., colours:]], axis=2)
        yield rgba.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def load(path):
    return pyvips.Image.new_from_file(str(path), revalidate=True)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_keep_every_value(tmp_path, suffix, dtype, channels):
    array = picture(13, 17, channels, dtype)
    source = write_source(tmp_path / "low.png", array)
    target = tmp_path / f"high.{suffix}"
    write_image(target, enlarged(source), source=source, scale=SCALE)

    result = load(target)
    assert (result.width, result.height, result.bands) == (17 * SCALE, 13 * SCALE, channels)
    assert result.interpretation == INTERPRETATIONS[channels, np.dtype(dtype).name]
    pixels = result.numpy().reshape(13 * SCALE, 17 * SCALE, channels)
    assert pixels.dtype == dtype
    assert np.array_equal(pixels, array.repeat(SCALE, axis=0).repeat(SCALE, axis=1))


@pytest.mark.parametrize(("classic_bytes", "magic"), [(4_000_000_000, b"II*\0"), (100_000, b"II+\0")])
def test_tiff_is_tiled_and_big_where_needed(tmp_path, monkeypatch, classic_bytes, magic):
    """Read by another library, too. A TIFF file of more than 4 GB is too much for a test."""
    monkeypatch.setattr("dvmsr.images.encoding._CLASSIC_TIFF_BYTES", classic_bytes)
    array = picture(70, 90, 3)
    source = write_source(tmp_path / "low.png", array)
    write_image(tmp_path / "high.tif", enlarged(source), source=source, scale=SCALE)
    assert (tmp_path / "high.tif").read_bytes()[:4] == magic
    with Image.open(tmp_path / "high.tif") as image:
        assert (image.tag_v2[TILEWIDTH], image.tag_v2[TILELENGTH]) == (256, 256)
        assert np.array_equal(image, array.repeat(SCALE, axis=0).repeat(SCALE, axis=1))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_formats_hold_the_picture(tmp_path, suffix, dtype, channels):
    array = picture(12, 16, channels, dtype)
    source = write_source(tmp_path / "low.png", array)
    target = tmp_path / f"high.{suffix}"
    write_image(target, enlarged(source), source=source, scale=SCALE)
    result = read_image(target).astype(float)
    if dtype == np.uint16 and suffix in ("jpg", "jpeg", "webp"):
        result *= 257
    expected = np.broadcast_to(array, (12, 16, 3)).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    assert np.abs(result - expected).mean() < 0.03 * np.iinfo(dtype).max


def test_grey_is_the_rounded_mean_of_the_channels(tmp_path):
    source = write_source(tmp_path / "low.png", np.zeros((1, 2, 1), np.uint8))
    block = np.zeros((2, 4, 3), np.uint8)
    block[0, 0], block[0, 1], block[1, 3] = (0, 0, 1), (0, 1, 1), (255, 255, 255)
    write_image(tmp_path / "high.png", [block], source=source, scale=2)
    assert load(tmp_path / "high.png").numpy().tolist() == [[0, 1, 0, 0], [0, 0, 0, 255]]


def test_jpeg_shows_transparency_as_white(tmp_path):
    array = np.zeros((8, 8, 4), np.uint16)
    array[:, 4:, 3] = 65535
    source = write_source(tmp_path / "low.png", array)
    write_image(tmp_path / "high.jpg", enlarged(source), source=source, scale=SCALE)
    result = read_image(tmp_path / "high.jpg")
    assert result[:, :8].min() > 250
    assert result[:, -8:].max() < 5


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_metadata_is_carried_over(tmp_path, suffix):
    text, whole, blob = (getattr(pyvips.GValue, kind) for kind in ("gstr_type", "gint_type", "blob_type"))
    profile = pyvips.Image.profile_load("p3")
    metadata = {
        "exif-ifd0-Make": (text, "Maker"),
        "orientation": (whole, 6),
        "xmp-data": (blob, b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
        "icc-profile-data": (blob, profile),
    }
    source = write_source(tmp_path / "low.jpg", picture(8, 12, 3), metadata)
    assert (source.width, source.height) == (8, 12)
    write_image(tmp_path / f"high.{suffix}", enlarged(source), source=source, scale=SCALE)

    result = load(tmp_path / f"high.{suffix}")
    assert (result.width, result.height) == (8 * SCALE, 12 * SCALE)
    assert result.get("exif-ifd0-Make").startswith("Maker")
    assert result.get("exif-ifd2-PixelXDimension").startswith(str(8 * SCALE))
    assert result.get("xmp-data") == metadata["xmp-data"][1]
    assert result.get("icc-profile-data") == profile
    # AVIF has no orientation in its EXIF data.
    assert result.get_typeof("orientation") == 0 or result.get("orientation") == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_resolution_is_carried_over(tmp_path, suffix):
    image = pyvips.Image.new_from_array(picture(6, 6, 3)).copy(interpretation="srgb", xres=11.8, yres=11.8)
    image.write_to_file(str(tmp_path / "low.tif"))
    source = open_image(tmp_path / "low.tif")
    target = tmp_path / f"high.{suffix}"
    write_image(target, enlarged(source), source=source, scale=SCALE)
    assert load(target).xres == pytest.approx(11.8, rel=0.01)


def test_profile_of_another_colour_space_is_dropped(tmp_path):
    image = pyvips.Image.new_from_array(picture(8, 8, 3)).copy(interpretation="srgb").colourspace("cmyk")
    image.write_to_file(str(tmp_path / "low.jpg"))
    assert load(tmp_path / "low.jpg").get_typeof("icc-profile-data")
    source = open_image(tmp_path / "low.jpg")
    write_image(tmp_path / "high.png", enlarged(source), source=source, scale=SCALE)
    assert load(tmp_path / "high.png").get_typeof("icc-profile-data") == 0


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return write_source(tmp_path / "in" / "low.png", picture(12, 10, 3))


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def never(reader):
    """Blocks that nobody may ask for."""
    pytest.fail("work began before the target was checked")
    yield from reader.blocks(1)


def test_existing_target(source, out):
    target = out / "high.png"
    target.write_bytes(b"precious")
    with pytest.raises(ImageWriteError, match="exists already"):
        write_image(target, never(source), source=source, scale=SCALE)
    assert target.read_bytes() == b"precious"
    write_image(target, enlarged(source), source=source, scale=SCALE, overwrite=True)
    assert read_image(target).shape == (12 * SCALE, 10 * SCALE, 3)
    assert list(out.iterdir()) == [target]


@pytest.mark.parametrize("hard_links", [True, False])
def test_target_that_appears_during_the_work(source, out, monkeypatch, hard_links):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    if not hard_links:
        monkeypatch.setattr("dvmsr.images.writing.os.link", refuse)
    target = out / "high.png"

    def blocks():
        target.write_bytes(b"precious")
        yield from enlarged(source)

    with pytest.raises(ImageWriteError, match=r"high\.png: exists already"):
        write_image(target, blocks(), source=source, scale=SCALE)
    assert target.read_bytes() == b"precious"
    assert list(out.iterdir()) == [target]
    write_image(target, blocks(), source=source, scale=SCALE, overwrite=True)
    assert read_image(target).shape == (12 * SCALE, 10 * SCALE, 3)
    write_image(out / "new.png", blocks(), source=source, scale=SCALE)
    assert sorted(out.iterdir()) == [target, out / "new.png"]


def test_suffixes_are_those_of_the_formats():
    assert tuple(FORMATS) == WRITABLE_SUFFIXES


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
def test_source_is_never_overwritten(source, out, link):
    before = source.path.read_bytes()
    target = source.path if link == "itself" else out / "link.png"
    if link == "symbolic":
        target.symlink_to(source.path)
    elif link == "hard":
        target.hardlink_to(source.path)
    with pytest.raises(ImageWriteError, match="input file itself"):
        write_image(target, never(source), source=source, scale=SCALE, overwrite=True)
    assert source.path.read_bytes() == before


def test_symbolic_link_is_followed(source, out):
    target = out / "real.png"
    link = out / "link.png"
    link.symlink_to(target)
    write_image(link, enlarged(source), source=source, scale=SCALE)
    assert link.is_symlink()
    assert read_image(target).shape == (12 * SCALE, 10 * SCALE, 3)


@pytest.mark.parametrize("name", ["high.bmp", "high", "high.heic"])
def test_unknown_suffix(source, out, name):
    with pytest.raises(ImageWriteError, match=r"expected a name that ends in \.png, .*; got"):
        write_image(out / name, never(source), source=source, scale=SCALE)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("none/high.png", "there is no folder"),
        ("file.png/high.png", "there is no folder"),
        ("folder.png", "no regular file"),
        ("x" * 300 + ".png", "File name too long"),
    ],
)
def test_impossible_target(source, out, name, cause):
    (out / "file.png").touch()
    (out / "folder.png").mkdir()
    with pytest.raises(ImageWriteError, match=cause):
        write_image(out / name, never(source), source=source, scale=SCALE, overwrite=True)


def test_folder_that_takes_no_files(source):
    # /proc refuses new files even to root.
    with pytest.raises(ImageWriteError, match=r"^/proc/high\.png: .*cannot be written"):
        write_image("/proc/high.png", enlarged(source), source=source, scale=SCALE)


@pytest.mark.parametrize(("suffix", "largest"), [("jpg", 65_500), ("webp", 16_383), ("avif", 16_384)])
def test_too_large_for_the_format(tmp_path, out, suffix, largest):
    width = largest // SCALE + 1
    source = write_source(tmp_path / "wide.png", np.zeros((1, width, 1), np.uint8))
    with pytest.raises(ImageWriteError, match=f"up to {largest} pixels on a side"):
        write_image(out / f"high.{suffix}", never(source), source=source, scale=SCALE)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), OSError("elsewhere")])
def test_error_in_the_blocks_surfaces_and_leaves_nothing(source, out, suffix, error):
    def blocks():
        yield next(enlarged(source))
        raise error

    with pytest.raises(type(error)) as caught:
        write_image(out / f"high.{suffix}", blocks(), source=source, scale=SCALE)
    assert caught.value is error
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_old_target_survives_an_error(source, out, overwrite):
    target = out / "high.png"
    if overwrite:
        target.write_bytes(b"precious")
    with pytest.raises(ZeroDivisionError):
        write_image(target, (1 / 0 for _ in "x"), source=source, scale=SCALE, overwrite=overwrite)
    assert target.exists() == overwrite


@pytest.mark.parametrize(
    "block",
    [
        np.zeros((48, 40, 4), np.uint8),
        np.zeros((48, 41, 3), np.uint8),
        np.zeros((47, 40, 3), np.uint8),
        np.zeros((49, 40, 3), np.uint8),
        np.zeros((48, 40, 3), np.uint16),
    ],
)
def test_blocks_that_do_not_fit(source, out, block):
    with pytest.raises(ArgumentError, match="blocks must"):
        write_image(out / "high.png", [block], source=source, scale=SCALE)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "held_pixels"), [*((suffix, 1 << 21) for suffix in SUFFIXES), ("png", 0), ("jpg", 0)]
)
def test_disk_full(tmp_path, out, suffix, held_pixels):
    """With a limit on the size of files, which the system reports like a full disk, to the same calls."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    path = write_source(tmp_path / "low.png", noise).path
    program = """
import resource, signal, sys
from dvmsr.images import open_image, write_image
from dvmsr.images.metadata import writing
writing._HELD_PIXELS = int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
source = open_image(sys.argv[1])
blocks = (block.repeat(4, axis=0).repeat(4, axis=1) for block in source.blocks(8))
write_image(
    sys.argv[2], blocks, source=source, width=4 * source.width, height=4 * source.height
)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(out / f"high.{suffix}"), str(held_pixels)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("dvmsr.errors.ImageWriteError: ")
    assert "cannot be written" in last
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("held_pixels", [0, 1 << 21])
@pytest.mark.parametrize(("suffix", "head"), [("png", PngHead), ("jpg", JpegHead)])
def test_lack_of_memory_is_not_the_disks(source, out, monkeypatch, suffix, head, held_pixels):
    """Where it is noticed of a large image, libvips is calling, and only hears that writing fails."""
    monkeypatch.setattr("dvmsr.images.metadata.writing._HELD_PIXELS", held_pixels)

    def write(*_):
        raise MemoryError

    monkeypatch.setattr(head, "write", write)
    with pytest.raises(MemoryError):
        write_image(out / f"high.{suffix}", enlarged(source), source=source, scale=SCALE)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("channels", [3, 4])
def test_truncated_source_is_an_error_of_reading(tmp_path, out, channels):
    noise = np.random.default_rng(0).integers(0, 256, (300, 50, channels), np.uint8)
    path = write_source(tmp_path / "low.png", noise).path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_image(path)
    with pytest.raises(ImageReadError, match="damaged or cut short"):
        write_image(out / "high.png", enlarged(source), source=source, scale=SCALE)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_files_are_the_same_however_they_are_encoded(source, out, monkeypatch, suffix):
    files = []
    for held_pixels in (0, 1 << 21):
        monkeypatch.setattr("dvmsr.images.metadata.writing._HELD_PIXELS", held_pixels)
        target = out / f"{held_pixels}.{suffix}"
        write_image(target, enlarged(source), source=source, scale=SCALE)
        files.append(target.read_bytes())
    assert files[0] == files[1]


def test_no_descriptor_stays_open_for_each_image(source, out):
    def count():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    for number in range(3):
        write_image(out / f"{number}.png", enlarged(source), source=source, scale=SCALE)
    before = count()
    for number in range(3, 40):
        write_image(out / f"{number}.png", enlarged(source), source=source, scale=SCALE)
    assert count() < before + 30


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_memory_does_not_grow_with_the_height(tmp_path, suffix, channels):
    program = """
import resource, sys
from pathlib import Path
from dvmsr.images import open_image, write_image
for path in sys.argv[2:]:
    source = open_image(path)
    blocks = (block.repeat(4, axis=0).repeat(4, axis=1) for block in source.samples(16))
    target = Path(path).with_name("high" + sys.argv[1])
    size = {"width": 4 * source.width, "height": 4 * source.height}
    write_image(target, blocks, source=source, **size, overwrite=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    paths = []
    for height in (300, 3000):
        paths.append(tmp_path / f"{height}.png")
        write_source(paths[-1], picture(height, 500, channels), compression=1)
    done = subprocess.run(
        [sys.executable, "-c", program, f".{suffix}", *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    short, tall = map(int, done.stdout.split())
    # The tall result has 72 MB or more.
    assert tall - short < 12_000, "KiB more for ten times the height"
    assert Path(paths[0]).with_name(f"high.{suffix}").exists()
