"""Colours of a video: its tags, and its pixels as RGB and back, with its own matrix and range.

The numbers are those of ITU-T H.273, which FFmpeg and the files share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

UNKNOWN = 2
LIMITED, FULL = 1, 2
BT709, BT601 = 1, 6
_PQ, _HLG = 16, 18
# Matrices that libswscale computes with, by H.273's number. BT.470BG and SMPTE 170M are both BT.601.
_COEFFICIENTS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Players take untagged video of more columns or rows than this for BT.709.
_SD_COLUMNS, _SD_ROWS = 1024, 576
# Chroma is interpolated and not repeated, and rounded and not cut.
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
)


def depth_of(pixel_format: VideoFormat) -> int:
    """Return the bits of a sample."""
    return max(component.bits for component in pixel_format.components)


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Return whether pixels of a format can be transparent."""
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)


def is_yuv(pixel_format: VideoFormat) -> bool:
    """Return whether a format holds luma and chroma."""
    return not pixel_format.is_rgb and not pixel_format.has_palette and len(pixel_format.components) >= 3


@dataclass(frozen=True)
class Colour:
    """What the colours of a video mean."""

    matrix: int
    """Matrix coefficients, as tagged."""

    range: int
    """1 for limited (luma from 16 to 235), 2 for full."""

    primaries: int
    """Colour primaries, as tagged."""

    transfer: int
    """Transfer characteristics, as tagged."""

    coefficients: int
    """The matrix to compute with, as libswscale counts."""

    @classmethod
    def of(cls, frame: VideoFrame) -> Colour:
        """Read the tags of a frame.

        A matrix that is not tagged is taken as players take it, by the size, and tagged from here on: by the
        enlarged video's size they would take another.
        """
        matrix, primaries, transfer = frame.colorspace, frame.color_primaries, frame.color_trc
        if not is_yuv(frame.format):
            # To be written as luma and chroma, as is common; grey and RGB use their full range.
            matrix = BT709 if matrix not in _COEFFICIENTS else matrix
            return cls(matrix, LIMITED, primaries, transfer, _COEFFICIENTS[matrix])
        if matrix == UNKNOWN:
            matrix = BT709 if frame.width > _SD_COLUMNS or frame.height > _SD_ROWS else BT601
        full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
        # Of a matrix that libswscale has not, the same other one there and back leaves colours as they were.
        coefficients = _COEFFICIENTS.get(matrix, _COEFFICIENTS[BT709])
        return cls(matrix, FULL if full else LIMITED, primaries, transfer, coefficients)

    @property
    def hdr(self) -> str | None:
        """The name of the high dynamic range that the transfer is of, if any."""
        return {_PQ: "PQ (HDR10)", _HLG: "HLG"}.get(self.transfer)

    def tag(self, target: Any) -> None:
        """Set the tags of a frame or an encoder."""
        target.colorspace = self.matrix
        target.color_range = self.range
        target.color_primaries = self.primaries
        target.color_trc = self.transfer


class ToRgb:
    """Makes arrays of frames. One for each thread.

    Args:
        colour: What the frames' colours mean.
        width: Columns of the arrays; frames of another size are resized.
        height: Rows of the arrays.
        deep: Whether the arrays are uint16, each over its full range, and not uint8.
        alpha: Whether they have transparency as a fourth channel.
    """

    def __init__(self, colour: Colour, width: int, height: int, *, deep: bool, alpha: bool) -> None:
        self._colour = colour
        self._size = (width, height)
        self._format = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[Any]:
        """Return (H, W, 3 or 4) of uint8 or uint16."""
        yuv = is_yuv(frame.format)
        rgb = self._reformatter.reformat(
            frame,
            *self._size,
            format=self._format,
            src_colorspace=self._colour.coefficients if yuv else None,
            src_color_range=self._colour.range if yuv else None,
            dst_color_range=FULL,
            interpolation=_ACCURATE,
            threads=1,
        )
        pixels: NDArray[Any] = rgb.to_ndarray()
        return np.ascontiguousarray(pixels)


class FromRgb:
    """Makes frames of arrays. One for each thread.

    Args:
        colour: What the colours of the frames are to mean.
        pixel_format: FFmpeg's name of the frames' format.
    """

    def __init__(self, colour: Colour, pixel_format: str) -> None:
        self._colour = colour
        self._format = VideoFormat(pixel_format)
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: NDArray[Any]) -> VideoFrame:
        """Return a frame of (H, W, 3 or 4) of uint8 or uint16."""
        deep, alpha = pixels.dtype == np.uint16, pixels.shape[2] == 4
        name = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        rgb = VideoFrame.from_ndarray(pixels, format=name)
        rgb.color_range = FULL
        yuv = is_yuv(self._format)
        frame = self._reformatter.reformat(
            rgb,
            format=self._format.name,
            dst_colorspace=self._colour.coefficients if yuv else None,
            dst_color_range=self._colour.range if yuv else FULL,
            interpolation=_ACCURATE,
            threads=1,
        )
        if yuv:
            self._colour.tag(frame)
        return frame
