"""Enlarging one image in one call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.inference.upscaler import Upscaler
from dvmsr.weights import Weights


@overload
def upscale(
    image: NDArray[Any] | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
) -> NDArray[Any]: ...


@overload
def upscale(
    image: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    overwrite: bool = False,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
) -> Path: ...


def upscale(
    image: NDArray[Any] | str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
) -> NDArray[Any] | Path:
    """Enlarge one image: an array, or a file. For several, make one ``Upscaler``.

    Args:
        image: (H, W, 3) RGB of uint8, uint16 or float32 in [0, 1], or the path of an image file.
        output: The file to write, in the format that its suffix names; only for a file. Its rows are read,
            enlarged and written a few at a time, and its transparency, colour profile and EXIF data are
            kept.
        overwrite: Whether an existing ``output`` is replaced.
        weights: A file of weights or weights in memory; None takes the ones that come with the package.
        device: Where to compute: "cpu", "cuda", "auto" and others; see ``Upscaler``.
        threads: How many threads may work on a CPU; None takes every processor that this process may use.
        precision: What to compute in: "fp32", "bf16", "fp16" or "auto"; see ``Upscaler``.

    Returns:
        The path of ``output`` where that is given. Else the enlarged image, (scale * H, scale * W, 3) of the
        type of the array or of the file's pixels, without transparency.

    Raises:
        ArgumentError: An argument is none of these.
        ImageReadError: The file is missing, empty, damaged or no image.
        ImageWriteError: ``output`` exists or cannot be written, or the disk is full.
        WeightsError: The file of weights is missing, damaged or of another network.
        MissingExtraError: The device needs PyTorch, and it is not installed.
    """
    if isinstance(image, np.ndarray) and output is not None:
        raise ArgumentError("output is only for an image file, got an array; save the array that is returned")
    if not isinstance(image, (np.ndarray, str, os.PathLike)):
        raise ArgumentError(f"image must be an array or a path, got {type(image).__name__}")
    upscaler = Upscaler(weights, device, threads, precision)
    if isinstance(image, np.ndarray):
        return upscaler.upscale(image)
    # Arrays need no libvips.
    from dvmsr.images import read_image
    from dvmsr.inference.files import upscale_file

    if output is None:
        return upscaler.upscale(read_image(image))
    return upscale_file(upscaler, image, output, overwrite=overwrite).target
