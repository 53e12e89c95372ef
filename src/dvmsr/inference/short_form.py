"""Enlarging one image in one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.inference.upscaler import Upscaler
from dvmsr.weights import Weights

if TYPE_CHECKING:
    import PIL.Image


@overload
def upscale(
    image: NDArray[Any] | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    model: str = "clean",
    strength: float = 1.0,
    scale: float | None = None,
    size: str | None = None,
    self_ensemble: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[Any]: ...


@overload
def upscale(
    image: PIL.Image.Image,
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    model: str = "clean",
    strength: float = 1.0,
    scale: float | None = None,
    size: str | None = None,
    self_ensemble: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> PIL.Image.Image: ...


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
    model: str = "clean",
    strength: float = 1.0,
    scale: float | None = None,
    size: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Path: ...


def upscale(
    image: Any,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    model: str = "clean",
    strength: float = 1.0,
    scale: float | None = None,
    size: str | None = None,
    self_ensemble: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Any:
    """Enlarge one image: an array, a Pillow image or a file. For several, make one ``Upscaler``.

    Args:
        image: An array or a Pillow image, of the kinds of ``Upscaler.upscale``, or the path of an image file.
        output: The file to write, in the format that its suffix names; only for a file. Its rows are read,
            enlarged and written a few at a time, and its transparency, colour profile and EXIF data are
            kept.
        overwrite: Whether an existing ``output`` is replaced.
        weights: A file of weights or weights in memory; None takes the ones that come with the package.
        device: Where to compute: "cpu", "cuda", "auto" and others; see ``Upscaler``.
        threads: How many threads may work on a CPU; None takes every processor that this process may use.
        precision: What to compute in: "fp32", "bf16", "fp16" or "auto"; see ``Upscaler``.
        model: Which of the shipped networks: "clean"; "photo" for images with the traces of JPEG, noise and
            blur; or "auto", which chooses for an ``output`` by what its image lost, and is "clean" else.
        strength: How far from the clean to the photo network, from 0 to 1; only for "photo".
        scale: How many times larger each side becomes, above 1 up to 16; see ``Upscaler.upscale``.
        size: Instead, what the result is to fit into, such as ``"3840x2160"`` or ``"long=4000"``.
        self_ensemble: Whether to average over the flips and rotations of the image: 8 times the work.
        progress: Called now and then with the number of finished pixels of the image, and of all.

    Returns:
        The path of ``output`` where that is given. Else the enlarged image: of the kind and type that came,
        or of a file (scale * H, scale * W, 3) of the type of its pixels, without transparency.

    Raises:
        ArgumentError: An argument is none of these.
        ImageReadError: The file is missing, empty, damaged or no image.
        ImageWriteError: ``output`` exists or cannot be written, or the disk is full.
        WeightsError: The file of weights is missing, damaged or of another network.
        MissingExtraError: The device needs PyTorch, and it is not installed.
    """
    if isinstance(image, (str, os.PathLike)):
        if not all(map(os.fspath, (image, *([] if output is None else [output])))):
            raise ArgumentError("expected the names of files, got an empty one")
    elif output is not None:
        raise ArgumentError(
            f"output is only for an image file, got {type(image).__name__}; save what is returned"
        )
    upscaler = Upscaler(weights, device, threads, precision, model=model, strength=strength)
    if not isinstance(image, (str, os.PathLike)):
        return upscaler.upscale(image, scale=scale, size=size, self_ensemble=self_ensemble, progress=progress)
    # Arrays need no libvips.
    from dvmsr.images import read_image
    from dvmsr.inference.files import FileOptions, upscale_file
    from dvmsr.inference.sizes import asked_size

    if output is not None and self_ensemble:
        raise ArgumentError(
            "self_ensemble is not for output, which is written row by row; save what is returned"
        )
    if output is None:
        return upscaler.upscale(
            read_image(image), scale=scale, size=size, self_ensemble=self_ensemble, progress=progress
        )
    options = FileOptions(size=asked_size(scale, size), overwrite=overwrite)
    return upscale_file(upscaler, image, output, options, progress=progress).target
