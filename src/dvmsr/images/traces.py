"""What an image lost on its way: how strongly its file compressed it, and how noisy its pixels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvmsr.images.metadata import jpeg, webp
from dvmsr.images.reading import ImageReader

_LOSSY = ("JPEG", "WebP", "AVIF", "HEIC")

# Luma's quantisation table in ITU-T T.81, table K.1, which libjpeg scales by its quality; in any order.
_STANDARD_TABLE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)

# Noise is looked for in so many pixels from the top: enough blocks, and little beside enlarging the image.
_NOISE_PIXELS = 1 << 19
_ROWS = 64
_BLOCK = 8
_LEAST_BLOCKS = 16
# Near black and white noise is cut off.
_DARKEST, _BRIGHTEST = 12, 243
# The flattest tenth of the blocks has less than the mean: of Gaussian noise alone, measured.
_FLATTEST = 10
_SHARE_OF_FLATTEST = 0.81


@dataclass(frozen=True)
class Traces:
    """What an image lost."""

    codec: str = ""
    """The lossy format of its file, such as "JPEG"; empty for one that loses nothing."""

    quality: int | None = None
    """Of a JPEG file, the quality from 1 to 100 by which libjpeg makes tables as coarse as its own."""

    noise: float = 0.0
    """Of a colour image in a file that loses nothing, about the standard deviation of the noise that differs
    between its channels, in steps of 255."""


def find_traces(reader: ImageReader) -> Traces:
    """Find out what an image lost. Reads the head of a lossy file; of another, decodes the upper part.

    Args:
        reader: The image.

    Raises:
        ImageReadError: The file is damaged.
        OSError: The file cannot be read any more.
    """
    kind = reader.source.kind
    with reader.source.open() as file:
        if kind == "JPEG":
            return Traces("JPEG", _jpeg_quality(jpeg.read_segments(file)))
        if kind == "WebP" and webp.is_lossless(file):
            kind = ""
    if kind in _LOSSY:
        return Traces(kind)
    if reader.grey:
        return Traces()
    return Traces(noise=_noise(reader))


def _jpeg_quality(segments: Iterator[tuple[int, bytes]]) -> int | None:
    for marker, segment in segments:
        if marker != jpeg.QUANTISATION or len(segment) < 1:
            continue
        # The first is luma's, or that of all channels.
        wide = segment[0] >> 4
        table = np.frombuffer(segment[1 : 1 + (128 if wide else 64)], ">u2" if wide else "u1")
        if len(table) == len(_STANDARD_TABLE):
            return _nearest_quality(int(table.sum()))
    return None


def _nearest_quality(coarseness: int) -> int:
    """Return the quality whose table has the nearest sum: other programs have tables of their own."""
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((_STANDARD_TABLE * percent[:, None] + 50) // 100, 1, 255)
    return int(qualities[np.abs(tables.sum(axis=1) - coarseness).argmin()])


def _noise(reader: ImageReader) -> float:
    """Estimate noise by what changes from pixel to pixel in one colour and not in the others.

    Detail of a picture is mostly one of brightness, and noise of a sensor is each channel's own. So the
    difference of the colours (R - 2 G + B) is filtered by the second derivative in both directions (Immerkær
    1996, doi 10.1006/cviu.1996.0060), and looked at in the flattest blocks.
    """
    blocks: list[NDArray[np.float32]] = []
    left = _NOISE_PIXELS
    unit = np.float32(255 / np.iinfo(reader.dtype).max)
    for rows in reader.blocks(_ROWS):
        blocks.append(_block_deviations(rows.astype(np.float32) * unit))
        left -= rows.shape[0] * rows.shape[1]
        if left <= 0:
            break
    deviations = np.concatenate(blocks)
    if len(deviations) < _LEAST_BLOCKS:
        return 0.0
    return float(np.percentile(deviations, _FLATTEST)) / _SHARE_OF_FLATTEST


def _block_deviations(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviations of the filtered colour difference, of each block that is not clipped."""
    colour = (rgb[..., 0] - 2 * rgb[..., 1] + rgb[..., 2]) / np.float32(6**0.5)
    along = colour[:, 2:] - 2 * colour[:, 1:-1] + colour[:, :-2]
    filtered = (along[2:] - 2 * along[1:-1] + along[:-2]) / 6
    height, width = (side // _BLOCK for side in filtered.shape)

    def blocks(image: NDArray[np.float32]) -> NDArray[np.float32]:
        cut = image[: height * _BLOCK, : width * _BLOCK]
        return cut.reshape(height, _BLOCK, width, _BLOCK).swapaxes(1, 2).reshape(height * width, _BLOCK**2)

    brightness = blocks(rgb[1:-1, 1:-1].mean(axis=2)).mean(axis=1)
    seen = (brightness > _DARKEST) & (brightness < _BRIGHTEST)
    deviations: NDArray[np.float32] = np.sqrt((blocks(filtered)[seen] ** 2).mean(axis=1))
    return deviations
