"""Image files with transparency, from file to file with the weights that are shipped."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
from PIL import Image

from dvmsr import Upscaler
from dvmsr.errors import ArgumentError
from dvmsr.images import imresize, open_image
from dvmsr.inference.files import FileOptions, upscale_file

SCALE = 4


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(threads=1)


def disc(side=48, dtype=np.uint8):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(np.hypot(y, x) < side / 3, np.iinfo(dtype).max, 0).astype(dtype)


def write_white_disc(path, kind):
    """A white disc on transparent pixels that hide black, as most programs store them."""
    white = disc()
    rgba = Image.fromarray(np.dstack([white] * 4))
    if kind == "grey":
        Image.fromarray(np.dstack([white] * 2)).save(path)
    elif kind == "key colour":
        Image.fromarray(np.dstack([white] * 3)).save(path, transparency=(0, 0, 0))
    elif kind == "palette":
        rgba.quantize(2).save(path)
    elif kind == "16 bits":
        deep = disc(dtype=np.uint16)
        pyvips.Image.new_from_array(np.dstack([deep] * 4)).copy(interpretation="rgb16").write_to_file(
            str(path)
        )
    elif kind == "premultiplied":
        # Of a TIFF file whose alpha is "associated" (TIFF 6.0, ExtraSamples 1).
        import tifffile

        tifffile.imwrite(path, np.dstack([white] * 4), photometric="rgb", extrasamples=["assocalpha"])
    else:
        rgba.save(path, **({"lossless": True, "exact": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("rgba", "png"),
        ("rgba", "webp"),
        ("rgba", "tif"),
        ("rgba", "gif"),
        ("rgba", "avif"),
        ("grey", "png"),
        ("key colour", "png"),
        ("palette", "png"),
        ("16 bits", "png"),
        ("16 bits", "tif"),
        ("premultiplied", "tif"),
    ],
)
def test_no_fringe(tmp_path, upscaler, kind, suffix):
    """The ring was 104 of 255 darker than the disc, on white paper and in a JPEG file."""
    source = tmp_path / f"disc.{suffix}"
    write_white_disc(source, kind)
    assert open_image(source).has_alpha
    for target in (tmp_path / "high.png", tmp_path / "high.jpg"):
        upscale_file(upscaler, source, target)
        image = pyvips.Image.new_from_file(str(target))
        if image.hasalpha():
            image = image.flatten(background=[65535 if image.format == "ushort" else 255])
        assert image.min() > 0.98 * (65535 if image.format == "ushort" else 255)


def truth_of_edges(side, finer=16):
    """A disc at the enlarged size and at the small one, both as parts of pixels covered."""
    y, x = np.mgrid[: side * finer, : side * finer] / finer - side / 2
    fine = (np.hypot(y, x) < 0.35 * side).astype(np.float64)
    step = finer // SCALE
    high = fine.reshape(side * SCALE, step, side * SCALE, step).mean((1, 3))
    return high, fine.reshape(side, finer, side, finer).mean((1, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_enlarged_as_a_grey_image(tmp_path, upscaler, exact_where_flat, channels, dtype):
    full = np.iinfo(dtype).max
    high, low = truth_of_edges(40)
    samples = np.full((40, 40, channels), 0.7 * full, dtype)
    samples[..., -1] = np.round(low * full)
    interpretation = {(2, 8): "b-w", (2, 16): "grey16", (4, 8): "srgb", (4, 16): "rgb16"}
    image = pyvips.Image.new_from_array(samples)
    image.copy(interpretation=interpretation[channels, 8 * samples.itemsize]).write_to_file(
        str(tmp_path / "low.png")
    )
    psnr = {}
    for method in ("network", "bicubic"):
        target = tmp_path / f"{method}.png"
        upscale_file(upscaler, tmp_path / "low.png", target, FileOptions(alpha=method))
        alpha = pyvips.Image.new_from_file(str(target)).numpy()[..., -1]
        psnr[method] = -10 * np.log10(np.mean((alpha / full - high) ** 2))
        if method == "network":
            grey = upscaler.upscale(np.repeat(samples[..., -1:], 3, axis=2)).mean(axis=2)
            assert np.array_equal(alpha, exact_where_flat(samples[..., -1], np.floor(grey + 0.5)))
            # What the network alone leaves there, a viewer shows as a veil.
            flat = exact_where_flat(samples[..., -1], np.full_like(alpha, 1))
            assert (np.floor(grey + 0.5)[flat == 0] > 0).any()
            assert (alpha[flat == 0] == 0).all()
        else:
            expected = imresize(samples[..., -1].astype(np.float64), SCALE)
            # libvips looks its kernel up in a table of 64 positions and 16-bit integers.
            assert np.abs(alpha - np.clip(expected, 0, full)).max() < max(1.5, full * 1e-3)
    assert psnr["network"] > psnr["bicubic"] + 6


def test_opaque_alpha_is_not_computed(tmp_path, upscaler, monkeypatch):
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    samples[..., 3] = 255
    Image.fromarray(samples).save(tmp_path / "low.png")
    started = []
    stream = upscaler.stream
    monkeypatch.setattr(upscaler, "stream", lambda *a, **k: started.append(1) or stream(*a, **k))
    upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png")
    assert len(started) == 1
    result = np.asarray(Image.open(tmp_path / "high.png"))
    assert np.array_equal(result[..., :3], upscaler.upscale(samples[..., :3]))
    assert result[..., 3].min() == 255


def test_unknown_method(tmp_path, upscaler):
    Image.new("RGBA", (4, 4)).save(tmp_path / "low.png")
    with pytest.raises(ArgumentError, match='alpha must be "network" or "bicubic", got \'nearest\''):
        upscale_file(upscaler, tmp_path / "low.png", tmp_path / "high.png", FileOptions(alpha="nearest"))
