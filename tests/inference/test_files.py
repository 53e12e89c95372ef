from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import pyvips

from dvmsr import NetworkConfig, Upscaler
from dvmsr.errors import ArgumentError, ImageReadError, ImageWriteError
from dvmsr.images import Encoding, imresize, read_image
from dvmsr.inference.files import FileOptions, upscale_file
from dvmsr.inference.sizes import OutputSize
from dvmsr.weights import Weights, parameter_shapes


@pytest.fixture(scope="module")
def upscaler():
    """A small network of noise: files are the matter here, not looks."""
    config = NetworkConfig(channels=16, blocks=1, vimms_per_block=1)
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config)
    noise = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    return Upscaler(Weights(config, noise, "noise"), threads=1)


def write_noise(path, height=19, width=14, channels=3):
    # From 1: what lies under transparent pixels is another matter.
    pixels = np.random.default_rng(0).integers(1, 256, (height, width, channels), np.uint8)
    image = pyvips.Image.new_from_array(pixels)
    image.copy(interpretation="b-w" if channels < 3 else "srgb").write_to_file(str(path))
    return pixels


def test_file_holds_what_the_array_gives(tmp_path, upscaler):
    # More rows than are read at once, and not a multiple of them.
    pixels = write_noise(tmp_path / "low.png", height=37)
    done = upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    assert np.array_equal(read_image(tmp_path / "high.png"), upscaler.upscale(pixels))
    assert (done.source, done.target) == (tmp_path / "low.png", tmp_path / "high.png")
    assert (done.width, done.height, done.target_width, done.target_height) == (14, 37, 56, 148)
    assert done.seconds > 0


def test_grey_and_alpha(tmp_path, upscaler):
    pixels = write_noise(tmp_path / "low.png", channels=2)
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    result = pyvips.Image.new_from_file(str(tmp_path / "high.png")).numpy()
    colours = upscaler.upscale(np.repeat(pixels[..., :1], 3, axis=2))
    assert result.shape == (*colours.shape[:2], 2)
    assert np.array_equal(result[..., 0], np.floor(colours.mean(axis=2) + 0.5))


def test_progress_is_told_up_to_the_end(tmp_path, upscaler):
    write_noise(tmp_path / "low.png", height=50)
    told = []
    upscale_file(
        upscaler,
        tmp_path / "low.png",
        tmp_path / "high.png",
        progress=lambda finished, total: told.append((finished, total)),
    )
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (50 * 14, 50 * 14)
    assert {total for _, total in told} == {50 * 14}


def test_folder_of_the_target_is_created(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    target = tmp_path / "new" / "folder" / "high.png"
    upscale_file(upscaler, tmp_path / "low.png", target)
    assert target.exists()


def test_folder_of_the_target_cannot_be_created(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    (tmp_path / "file").touch()
    with pytest.raises(ImageWriteError, match=r"file cannot be created: (Not a directory|File exists)"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "file" / "high.png")


def test_nothing_is_created_for_a_bad_source(tmp_path, upscaler):
    with pytest.raises(ImageReadError, match="no such file"):
        upscale_file(upscaler, tmp_path / "none.png", tmp_path / "new" / "high.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "width", "cause"),
    [("high.bmp", 14, "expected a name that ends in"), ("high.webp", 4097, "holds up")],
)
def test_no_folder_is_created_for_a_target_that_cannot_be(tmp_path, upscaler, name, width, cause):
    write_noise(tmp_path / "low.png", height=1, width=width)
    with pytest.raises(ImageWriteError, match=cause):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "new" / "folder" / name)
    assert list(tmp_path.iterdir()) == [tmp_path / "low.png"]


def test_self_ensemble(tmp_path, upscaler):
    pixels = write_noise(tmp_path / "low.png", height=37)
    told = []
    upscale_file(
        upscaler,
        tmp_path / "low.png",
        tmp_path / "high.png",
        FileOptions(self_ensemble=True),
        progress=lambda finished, total: told.append((finished, total)),
    )
    expected = upscaler.upscale(pixels, self_ensemble=True).astype(int)
    assert np.abs(read_image(tmp_path / "high.png") - expected).max() <= 1
    assert told == sorted(told)
    assert told[-1] == (14 * 37, 14 * 37)
    assert len(told) >= 8


def test_self_ensemble_of_one_pass_only(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    options = FileOptions(size=OutputSize(scale=8), self_ensemble=True)
    with pytest.raises(ArgumentError, match="a self-ensemble enlarges up to 4 times"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", options)
    assert list(tmp_path.iterdir()) == [tmp_path / "low.png"]


@pytest.mark.parametrize(("scale", "size"), [(2, (28, 38)), (2.5, (35, 48)), (8, (112, 152))])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_other_sizes(tmp_path, upscaler, scale, size, channels):
    write_noise(tmp_path / "low.png", channels=channels)
    options = FileOptions(size=OutputSize(scale=scale))
    for alpha in ("network", "bicubic"):
        target = tmp_path / f"{alpha}.png"
        done = upscale_file(upscaler, tmp_path / "low.png", target, replace(options, alpha=alpha))
        image = pyvips.Image.new_from_file(str(target))
        assert (image.width, image.height, image.bands) == (*size, channels)
        assert (done.target_width, done.target_height) == size


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_lossless(tmp_path, upscaler, suffix):
    pixels = write_noise(tmp_path / "low.png")
    options = FileOptions(encoding=Encoding(lossless=True))
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / f"high.{suffix}", options)
    assert np.array_equal(read_image(tmp_path / f"high.{suffix}"), upscaler.upscale(pixels))
    with pytest.raises(ImageWriteError, match="JPEG loses some detail"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.jpg", options)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_quality(tmp_path, upscaler, suffix):
    write_noise(tmp_path / "low.png")
    sizes = []
    for quality in (20, 90):
        target = tmp_path / f"{quality}.{suffix}"
        upscale_file(upscaler, tmp_path / "low.png", target, FileOptions(encoding=Encoding(quality=quality)))
        sizes.append(target.stat().st_size)
    assert 2 * sizes[0] < sizes[1]
    with pytest.raises(ImageWriteError, match="PNG has no quality to choose"):
        upscale_file(
            upscaler, tmp_path / "low.png", tmp_path / "new.png", FileOptions(encoding=Encoding(quality=9))
        )


@pytest.mark.parametrize("values", [{"quality": 0}, {"quality": 101}, {"quality": 5, "lossless": True}])
def test_encodings_that_are_none(values):
    with pytest.raises(ArgumentError):
        Encoding(**values)


def test_what_python_s_users_can_do_has_python_s_names(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    (tmp_path / "high.png").touch()
    with pytest.raises(ImageWriteError, match=r"exists already; choose .* \(overwrite=True\)$"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")


def test_too_many_pixels(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    with pytest.raises(ImageReadError, match="max_pixels="):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", FileOptions(max_pixels=100))


def test_result_has_the_source_s_time(tmp_path, upscaler):
    write_noise(tmp_path / "low.png")
    os.utime(tmp_path / "low.png", (1e9, 1e9))
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    assert (tmp_path / "high.png").stat().st_mtime == 1e9


@pytest.mark.parametrize(
    ("width", "height", "target", "free", "fits"),
    [
        # 12 KiB of rows and 2 KiB of network for a column; and 50 bytes of AVIF for a pixel of the target.
        (3000, 2, "high.png", 12_000_000, True),
        (3000, 2, "high.png", 8_000_000, False),
        (100, 100, "high.png", 4_000_000, True),
        (100, 100, "high.avif", 4_000_000, False),
        (100, 100, "high.webp", 2_000_000, False),
    ],
)
def test_memory_is_known_before_the_work(tmp_path, upscaler, monkeypatch, width, height, target, free, fits):
    write_noise(tmp_path / "low.png", height=height, width=width)
    monkeypatch.setattr("dvmsr.images.limits.LITTLE_BYTES", 0)
    monkeypatch.setattr("dvmsr.images.limits.available_memory", lambda: free)
    monkeypatch.setattr("dvmsr.images.limits.LITTLE_BYTES", 0)
    if fits:
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / target)
    else:
        with pytest.raises(ImageReadError, match=r"needs about \d+ MiB of memory, and \d+ MiB are free"):
            upscale_file(upscaler, tmp_path / "low.png", tmp_path / "new" / target)
        assert [path.name for path in tmp_path.iterdir()] == ["low.png"]


def test_a_comparison_is_never_written_over_its_source(tmp_path, upscaler):
    write_noise(tmp_path / "high_compare.png")
    before = (tmp_path / "high_compare.png").read_bytes()
    options = FileOptions(compare=True, overwrite=True)
    with pytest.raises(ImageWriteError, match=r"high_compare\.png: is the input file itself"):
        upscale_file(upscaler, tmp_path / "high_compare.png", tmp_path / "high.png", options)
    assert [path.name for path in tmp_path.iterdir()] == ["high_compare.png"]
    assert (tmp_path / "high_compare.png").read_bytes() == before


@pytest.mark.parametrize(("channels", "side"), [(3, 30), (4, 30), (1, 30), (3, 300)])
def test_comparison(tmp_path, upscaler, channels, side):
    write_noise(tmp_path / "low.png", height=side, width=side + 10, channels=channels)
    options = FileOptions(compare=True)
    done = upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", options)
    assert done.comparison == tmp_path / "high_compare.png"
    both = read_image(done.comparison)
    height, width = min(4 * side, 1024), min(4 * side + 40, 1024)
    assert both.shape == (height, 2 * width + 8, 3)
    top, left = (4 * side - height) // 2, (4 * side + 40 - width) // 2
    if channels == 3:
        high = read_image(tmp_path / "high.png")[top : top + height, left : left + width]
        assert np.array_equal(both[:, width + 8 :], high)
        low = imresize(read_image(tmp_path / "low.png"), 4)[top : top + height, left : left + width]
        assert np.abs(both[:, :width].astype(int) - low).mean() < 3
    with pytest.raises(ImageWriteError, match=r"high_compare\.png: exists already"):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", options)
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", replace(options, overwrite=True))
