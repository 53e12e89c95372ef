"""Frames of animated PNG and AVIF files, which libvips does not read, by Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.images.other_formats import damaged, open_by_pillow, to_vips
from dvmsr.images.source import SourceFile

KINDS = {"PNG": "PNG", "AVIF": "AVIF"}
"""The kinds of files, with Pillow's names for them."""

# WebP and GIF animations are shown no faster by anybody.
_LEAST_MILLISECONDS = 10


class Animation:
    """The frames of a file, each as it is shown, one below the other as libvips has them.

    Args:
        source: The file.

    Raises:
        MissingExtraError: Pillow is not installed.
        ImageReadError: The file is damaged.
    """

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._opened = open_by_pillow(source, KINDS[source.kind])
        # A PNG file may have a picture for those who know no animations, which is none of the frames.
        self._first = int(bool(getattr(self._opened, "default_image", False)))
        self.frames: int = self._opened.n_frames - self._first
        """How many there are."""
        self.width: int = self._opened.width
        """Columns."""
        self.height: int = self._opened.height * self.frames
        """Rows of all of them together."""
        self.notes: list[str] = []
        """What is lost in decoding: nothing."""
        self._image: pyvips.Image | None = None

    def decode(self) -> pyvips.Image:
        """Decode the frames; only the first call does.

        Returns:
            An image in memory, with its delays, number of repetitions, profile, EXIF and XMP data.

        Raises:
            ImageReadError: The file is damaged.
        """
        if self._image is None:
            info = dict(self._opened.info)
            try:
                frames, delays = self._decoded()
            except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
                raise damaged(self._source, error) from error
            image = to_vips(frames, info)
            image.set_type(pyvips.GValue.array_int_type, "delay", delays)
            image.set_type(pyvips.GValue.gint_type, "loop", int(info.get("loop", 0)))
            self._image = image
        return self._image

    def _decoded(self) -> tuple[NDArray[np.uint8], list[int]]:
        opened, height = self._opened, self.height // self.frames
        mode = "RGBA" if opened.has_transparency_data else "RGB"
        frames: NDArray[Any] = np.empty((self.height, self.width, len(mode)), np.uint8)
        delays = []
        for number in range(self.frames):
            opened.seek(self._first + number)
            frames[number * height :][:height] = np.asarray(opened.convert(mode))
            delays.append(max(_LEAST_MILLISECONDS, round(opened.info.get("duration", 0))))
        return frames, delays
