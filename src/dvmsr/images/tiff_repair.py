"""TIFF files that are whole and that libvips refuses.

Odd values of tags that no pixel depends on are replaced while the file is read. Pixels of 3 to 15 bits and
8-bit Lab are shown to libvips as what it reads (bytes, or RGB), and made into pixels here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyvips

from dvmsr.errors import ImageReadError
from dvmsr.images.source import SourceFile
from dvmsr.images.tiff_structure import Directory, TiffStructure, TiffStructureError

# Tags (TIFF 6.0).
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR = 256, 257, 258, 262, 277, 284
_ORIENTATION, _RESOLUTION_UNIT, _PREDICTOR, _TILE_WIDTH, _EXTRA_SAMPLES = 274, 296, 317, 322, 338
_PRIVATE = 65_000
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CIELAB = 0, 1, 2, 8
_CARRIED = ("orientation", "xmp-data", "iptc-data", "icc-profile-data")
_READ_BITS = (1, 2, 4, 8, 16, 32, 64)
_ROWS = 256
_FULL = 65535


@dataclass(frozen=True)
class OddPixels:
    """Pixels that libvips is shown as something else."""

    lab: bool
    """Whether they are 8-bit Lab, shown as RGB; else they are packed bits, shown as bytes."""

    width: int = 0
    """Columns of packed pixels."""

    bits: int = 0
    """Bits of a sample."""

    samples: int = 0
    """Samples of a pixel."""

    inverted: bool = False
    """Whether 0 is white."""


def repair(source: SourceFile, page: int = 0) -> OddPixels | None:
    """Let libvips see a TIFF file as one that it reads.

    Args:
        source: The file, which is patched.
        page: Number of the page to be read, from 0.

    Returns:
        What the pixels are where they are to be converted by :func:`to_pixels`.

    Raises:
        ImageReadError: The pixels are of a kind that is not supported.
        OSError: The file cannot be read any more.
    """
    with source.open() as file:
        try:
            structure = TiffStructure(file)
            odd = None
            for number, directory in enumerate(structure.directories()):
                # Of every page: libvips goes through all to count them.
                _repair_tags(source, structure, directory)
                if number == page:
                    odd = _repair_pixels(source, structure, directory)
        except TiffStructureError:
            # Damaged, which libvips says better.
            return None
    return odd


def _repair_tags(source: SourceFile, structure: TiffStructure, directory: Directory) -> None:
    for tag, allowed in ((_ORIENTATION, range(1, 9)), (_RESOLUTION_UNIT, range(1, 4))):
        entry = directory.entries.get(tag)
        if entry is not None and entry.count == 1 and structure.values(entry)[0] not in allowed:
            # Upright, and of no unit.
            source.patch({entry.at: structure.encode(entry, 1)})


def _repair_pixels(source: SourceFile, structure: TiffStructure, directory: Directory) -> OddPixels | None:
    def value(tag: int, default: int) -> int:
        entry = directory.entries.get(tag)
        values = structure.values(entry) if entry is not None else ()
        return values[0] if values else default

    def replace(tag: int, number: int) -> None:
        entry = directory.entries[tag]
        source.patch({entry.at: structure.encode(entry, *[number] * entry.count)})

    if _BITS not in directory.entries or _PHOTOMETRIC not in directory.entries:
        return None
    bits, photometric, samples = value(_BITS, 1), value(_PHOTOMETRIC, 0), value(_SAMPLES, 1)
    if photometric == _CIELAB and bits == 8 and samples == 3:
        replace(_PHOTOMETRIC, _RGB)
        return OddPixels(lab=True)
    if bits in _READ_BITS:
        return None
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(photometric, 0)
    width = value(_WIDTH, 0)
    row_bytes = (width * samples * bits + 7) // 8
    simple = value(_PREDICTOR, 1) == 1 and value(_PLANAR, 1) == 1 and _TILE_WIDTH not in directory.entries
    kind = directory.entries[_WIDTH].kind if _WIDTH in directory.entries else 0
    fits = row_bytes < (1 << 16 if kind == 3 else 1 << 31)
    if bits > 16 or samples - colours not in (0, 1) or not (colours and simple and fits) or width < 1:
        raise ImageReadError(
            f"{source.path}: TIFF with samples of {bits} bits is read as grey or RGB in plain strips, "
            "not in tiles, planes or with a predictor; convert it to 16 bits first"
        )
    replace(_BITS, 8)
    replace(_WIDTH, row_bytes)
    replace(_PHOTOMETRIC, _BLACK_IS_ZERO)
    if samples > 1:
        replace(_SAMPLES, 1)
    if _EXTRA_SAMPLES in directory.entries:
        # Of one sample none is extra. By a tag for private use, which readers pass over.
        place = directory.entries[_EXTRA_SAMPLES].entry_at
        source.patch({place: struct.pack(f"{structure.order}H", _PRIVATE)})
    return OddPixels(
        lab=False, width=width, bits=bits, samples=samples, inverted=photometric == _WHITE_IS_ZERO
    )


def to_pixels(shown: pyvips.Image, odd: OddPixels) -> pyvips.Image:
    """Make pixels of what libvips was shown.

    Args:
        shown: The image as libvips read it.
        odd: What it is.

    Returns:
        Of Lab an image in Lab, else grey or RGB of 16 bits, held in memory; with the metadata of ``shown``.

    Raises:
        pyvips.Error: The file is damaged.
    """
    if odd.lab:
        signed = (shown > 127).ifthenelse(shown - 256, shown)
        lab = (shown[0] * (100 / 255)).bandjoin(signed[1:])
        return lab.cast("float").copy(interpretation="lab")
    pixels = np.empty((shown.height, odd.width, odd.samples), np.uint16)
    region = pyvips.Region.new(shown)
    most = (1 << odd.bits) - 1
    weights = 1 << np.arange(odd.bits - 1, -1, -1)
    for top in range(0, shown.height, _ROWS):
        rows = min(_ROWS, shown.height - top)
        packed = np.frombuffer(region.fetch(0, top, shown.width, rows), np.uint8).reshape(rows, -1)
        bits = np.unpackbits(packed, axis=1, count=odd.width * odd.samples * odd.bits)
        values = bits.reshape(rows, odd.width, odd.samples, odd.bits) @ weights
        pixels[top : top + rows] = (values * _FULL + most // 2) // most
    if odd.inverted:
        pixels[..., 0] = _FULL - pixels[..., 0]
    interpretation = "grey16" if odd.samples < 3 else "rgb16"
    image = pyvips.Image.new_from_array(pixels).copy(
        interpretation=interpretation, xres=shown.xres, yres=shown.yres
    )
    for name in _CARRIED:
        if shown.get_typeof(name):
            image.set_type(shown.get_typeof(name), name, shown.get(name))
    return image
