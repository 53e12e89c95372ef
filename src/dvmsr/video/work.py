"""What goes from stage to stage: frames as pixels, and enlarged."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.inference.sized import Size, SizedUpscaler, network_of_size
from dvmsr.inference.transparency import enlarge_pixels
from dvmsr.inference.upscaler import Upscaler, rows_at_once
from dvmsr.video.colour import ToRgb
from dvmsr.video.orientation import Matrix, oriented
from dvmsr.video.source import Frames, Stamped


@dataclass(frozen=True)
class Picture:
    """A source frame as pixels."""

    stamped: Stamped
    pixels: NDArray[Any]
    """(H, W, 3), with transparency (H, W, 4), as it goes into the network."""

    checksum: int
    """CRC-32 of the pixels."""

    damaged: int
    """Packets and frames of the source that were found damaged so far."""


@dataclass(frozen=True)
class Enlarged:
    """A frame that has been enlarged."""

    picture: Picture
    pixels: NDArray[Any]
    computed: bool
    """Whether the network made it; otherwise the source frame was the same as the one before."""


@dataclass(frozen=True)
class Continuation:
    """Where an earlier run has stopped."""

    frames: int
    """How many frames it has done."""

    pts: int
    """When the last of them is shown."""

    checksum: int
    """CRC-32 of its pixels."""


class PictureReader:
    """Makes pixels of frames: turned, and on white, where that is wanted.

    Args:
        source: Where the frames come from.
        alpha: Whether transparency is kept.
        matrix: How the pixels are turned; None leaves them as they lie.
    """

    def __init__(self, source: Frames, *, alpha: bool, matrix: Matrix | None) -> None:
        self._source = source
        self._alpha = alpha
        self._matrix = matrix
        self.transparency_lost = False
        """Whether any pixel was transparent that no longer is."""

    def pictures(self, done: Continuation | None = None) -> Iterator[Picture]:
        """Read the frames, or those after what is done.

        It is found by its time and its pixels near its place in the file; where the file cannot be entered
        there, from the beginning.
        """
        if done is None:
            yield from self._read(None)
            return
        found = False
        for picture in self._read(done.pts):
            if found:
                yield picture
            elif picture.stamped.pts >= done.pts:
                if picture.stamped.pts > done.pts or picture.checksum != done.checksum:
                    break
                found = True
                self._source.damage.forget()
        if not found:
            for number, picture in enumerate(self._read(None), start=1):
                if number > done.frames:
                    yield picture
                elif number == done.frames:
                    self._source.damage.forget()

    def pictures_near(self, pts: int) -> Iterator[Picture]:
        """Read the frames from a place on that is at or before a time, in ticks."""
        return self._read(pts)

    def _read(self, after: int | None) -> Iterator[Picture]:
        facts, damage = self._source.facts, self._source.damage
        to_rgb = ToRgb(facts.colour, facts.width, facts.height, deep=facts.deep, alpha=facts.alpha)
        for stamped in self._source.frames(after):
            frame = stamped.frame
            damage.resized += (frame.width, frame.height) != (facts.width, facts.height)
            pixels = to_rgb(frame)
            if facts.alpha and not self._alpha:
                pixels = self._on_white(pixels)
            if self._matrix is not None:
                pixels = oriented(pixels, self._matrix)
            yield Picture(stamped, pixels, zlib.crc32(pixels.data), damage.packets + damage.frames)

    def _on_white(self, pixels: NDArray[Any]) -> NDArray[Any]:
        most = np.iinfo(pixels.dtype).max
        alpha = pixels[..., 3:].astype(np.float32) / most
        if alpha.min() == 1:
            return np.ascontiguousarray(pixels[..., :3])
        self.transparency_lost = True
        mixed: NDArray[Any] = np.rint(pixels[..., :3] * alpha + most * (1 - alpha)).astype(pixels.dtype)
        return mixed


class Enlarger:
    """Enlarges pictures, each that equals the one before only once.

    Args:
        upscaler: The network, of any of its scales; the one that fits best is taken.
        source: Columns and rows of the pictures.
        target: Columns and rows of what comes out.
        alpha: How transparency is enlarged.
    """

    def __init__(self, upscaler: Upscaler, source: Size, target: Size, alpha: str) -> None:
        self._upscaler = network_of_size(upscaler, source, target)
        self._sized = SizedUpscaler(self._upscaler, source, target)
        self._alpha = alpha
        self._before: Enlarged | None = None

    def __call__(self, picture: Picture) -> Enlarged:
        """Enlarge a picture; see ``enlarge_pixels`` for what it raises."""
        before = self._before
        if (
            before is not None
            and before.picture.checksum == picture.checksum
            and np.array_equal(before.picture.pixels, picture.pixels)
        ):
            self._before = Enlarged(picture, before.pixels, computed=False)
            return self._before
        self._before = Enlarged(picture, self._enlarged(picture.pixels), computed=True)
        return self._before

    def _enlarged(self, pixels: NDArray[Any]) -> NDArray[Any]:
        channels = pixels.shape[2]
        if self._sized.is_plain and channels == 3:
            # At once: in pieces, the threads would wait for each other at the end of each.
            return self._upscaler.upscale(pixels)
        width, height = self._sized.target
        result = np.empty((height, width, channels), pixels.dtype)
        top = 0
        rows = rows_at_once(pixels.shape[1])
        for block in enlarge_pixels(self._sized, pixels, rows, alpha=self._alpha):
            result[top : top + len(block)] = block
            top += len(block)
        return result
