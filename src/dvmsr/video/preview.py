"""Single frames of a video before and after, as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.atomic import write_atomically
from dvmsr.errors import VideoError
from dvmsr.images import write_comparison
from dvmsr.inference.upscaler import Upscaler
from dvmsr.video.options import VideoOptions
from dvmsr.video.pictures import open_video
from dvmsr.video.plan import plan_video
from dvmsr.video.work import Enlarger, Picture, PictureReader


def preview_video(
    upscaler: Upscaler, source: Path, target: Path, count: int, options: VideoOptions
) -> Iterator[tuple[Path, Path]]:
    """Enlarge some frames of a video, as evenly spread over it as can be, into PNG files beside the target.

    Of each there are NAME_preview_1_before.png, NAME_preview_1.png, and NAME_preview_1_compare.png with the
    middle of both side by side, the one before by bicubic interpolation.

    Args:
        upscaler: The network.
        source: The video.
        target: The video that would be written.
        count: How many frames, from 1.
        options: As for ``upscale_video``. Existing previews are replaced.

    Yields:
        The enlarged picture and the comparison, as each is done.

    Raises:
        VideoError: The source cannot be read, or the pictures not written.
    """
    # Pictures have no flag that says how they are turned.
    _, plan = plan_video(upscaler, source, target, replace(options, overwrite=True, apply_rotation=True))
    enlarge = Enlarger(upscaler, plan.shown, (plan.width, plan.height), options.alpha)
    numbered = enumerate(_spread(source, options, plan.facts.duration, count, plan.turned), start=1)
    for number, picture in numbered:
        after = target.with_name(f"{target.stem}_preview_{number}.png")
        before = target.with_name(f"{target.stem}_preview_{number}_before.png")
        _save(before, picture.pixels)
        _save(after, enlarge(picture).pixels)
        yield after, write_comparison(before, after, overwrite=True)


def _spread(
    source: Path, options: VideoOptions, duration: Fraction | None, count: int, matrix: tuple[int, ...] | None
) -> Iterator[Picture]:
    """Read frames in the middle of as many parts of a video; the first ones where its length is not known."""
    start = options.start or Fraction(0)
    end = options.end if duration is None else min(options.end or duration, duration)
    for number in range(count if end is not None else 1):
        at = start if end is None else start + (end - start) * (2 * number + 1) / (2 * count)
        frames = open_video(source, replace(options, start=None, end=None))
        reader = PictureReader(frames, alpha=True, matrix=matrix)
        ticks = int(at / frames.facts.time_base)
        found: Picture | None = None
        for picture in reader.pictures_near(ticks):
            if found is None or picture.stamped.pts <= ticks:
                found = picture
            if picture.stamped.pts >= ticks:
                break
        if found is None:
            raise VideoError(f"{source}: there is no frame at {float(at):.2f} s")
        yield found


def _save(path: Path, pixels: NDArray[np.generic]) -> None:
    height, width, bands = pixels.shape
    deep = pixels.dtype == np.uint16
    image = pyvips.Image.new_from_memory(pixels.data, width, height, bands, "ushort" if deep else "uchar")
    try:
        with write_atomically(path) as file:
            file.write(image.copy(interpretation="rgb16" if deep else "srgb").pngsave_buffer(compression=1))
    except OSError as error:
        raise VideoError(f"{path}: cannot be written: {error.strerror}") from error
