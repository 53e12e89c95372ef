from __future__ import annotations

import io

import numpy as np
import pytest
import pyvips
from PIL import Image

from dvmsr.degradations import PRESETS, Degradation
from dvmsr.evaluation.datasets import open_set
from dvmsr.evaluation.degraded import save_degraded
from dvmsr.evaluation.pairs import read_pair
from dvmsr.images import imresize, open_image
from dvmsr.images.traces import Traces, find_traces


def photograph(height=96, width=128):
    """Coloured blobs with detail that all channels share."""
    rng = np.random.default_rng(0)
    coarse = imresize(rng.integers(20, 236, (9, 12, 3), np.uint8), output_size=(height, width))
    fine = rng.integers(-20, 21, (height, width, 1))
    return (coarse + fine).clip(0, 255).astype(np.uint8)


def traces_of(path, content):
    path.write_bytes(content)
    return find_traces(open_image(path))


def saved(image, kind, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 90, 95, 99, 100])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_quality_of_jpeg(tmp_path, quality, subsampling):
    content = saved(photograph(), "JPEG", quality=quality, subsampling=subsampling)
    found = traces_of(tmp_path / "a.jpg", content)
    assert found.codec == "JPEG"
    # At the ends neighbouring qualities have the same table.
    assert abs(found.quality - quality) <= (quality < 3)


def test_quality_of_jpeg_by_another_encoder_in_grey_and_progressive(tmp_path):
    image = pyvips.Image.new_from_array(photograph()[..., 0])
    content = image.jpegsave_buffer(Q=60, interlace=True)
    assert traces_of(tmp_path / "a.jpg", content) == Traces("JPEG", 60)


def test_tables_of_16_bits(tmp_path):
    content = saved(photograph(), "JPEG", quality=40)
    start = content.index(b"\xff\xdb\0\x43\0")
    table = content[start + 5 : start + 69]
    wide = b"\xff\xdb\0\x83\x10" + b"".join(bytes([0, value]) for value in table)
    patched = content[:start] + wide + content[start + 69 :]
    assert traces_of(tmp_path / "a.jpg", patched) == Traces("JPEG", 40)


def test_other_formats(tmp_path):
    image = photograph()
    assert traces_of(tmp_path / "a.webp", saved(image, "WEBP", quality=80)) == Traces("WebP")
    assert traces_of(tmp_path / "b.avif", saved(image, "AVIF", quality=80)) == Traces("AVIF")
    # Of the extended kind, too, which has its picture behind other chunks.
    for name, options in (("c", {}), ("d", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"})):
        found = traces_of(tmp_path / f"{name}.webp", saved(image, "WEBP", lossless=True, **options))
        assert found.codec == ""
        assert found.noise < 1
    frames = [Image.fromarray(image), Image.fromarray(255 - image)]
    for lossless in (True, False):
        file = io.BytesIO()
        frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
        assert (traces_of(tmp_path / "e.webp", file.getvalue()).codec == "") is lossless


@pytest.mark.parametrize("sigma", [0, 5, 10, 20])
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "alpha"])
def test_noise_is_estimated_within_a_fifth(tmp_path, sigma, kind):
    image = photograph(160, 200) + np.random.default_rng(1).normal(0, sigma, (160, 200, 3))
    if kind == "16 bits":
        pixels = pyvips.Image.new_from_array((image * 257).clip(0, 65535).astype(np.uint16))
        pixels = pixels.copy(interpretation="rgb16")
    else:
        eight = image.round().clip(0, 255).astype(np.uint8)
        opaque = np.full((160, 200, 1), 200, np.uint8)
        pixels = pyvips.Image.new_from_array(np.concatenate([eight, opaque], 2) if kind == "alpha" else eight)
    found = traces_of(tmp_path / "a.png", pixels.pngsave_buffer())
    assert found.noise == pytest.approx(sigma, rel=0.2, abs=0.8)


def test_noise_is_not_made_of_detail_clipped_parts_or_little(tmp_path):
    detail = np.repeat(np.random.default_rng(0).integers(0, 256, (96, 96, 1), np.uint8), 3, axis=2)
    assert traces_of(tmp_path / "detail.png", saved(detail, "PNG")).noise == 0
    white = np.full((96, 96, 3), 255, np.uint8)
    assert traces_of(tmp_path / "white.png", saved(white, "PNG")).noise == 0
    noise = np.random.default_rng(0).integers(100, 156, (9, 9, 3), np.uint8)
    assert traces_of(tmp_path / "small.png", saved(noise, "PNG")).noise == 0
    assert traces_of(tmp_path / "point.png", saved(noise[:1, :1], "PNG")).noise == 0
    assert traces_of(tmp_path / "grey.png", saved(detail[..., 0], "PNG")) == Traces()


@pytest.mark.parametrize("dataset", ["Set5", "Set14", "BSD100"])
def test_noise_of_benchmark_images_is_told_from_none(shared, tmp_path, dataset):
    """The numbers of docs/photographs.md."""
    found = []
    for pair in open_set(shared(f"benchmarks/{dataset}/x4")).pairs:
        _, high = read_pair(pair, 4)
        for name in ("clean", "noise10"):
            degradation = PRESETS[name] if name in PRESETS else Degradation()
            save_degraded(tmp_path / f"{name}.png", degradation, high, 4, pair.name)
        found.append(
            [find_traces(open_image(tmp_path / f"{name}.png")).noise for name in ("clean", "noise10")]
        )
    clean, noisy = np.transpose(found)
    assert clean.max() < 2.5
    assert noisy.min() > 6.6
