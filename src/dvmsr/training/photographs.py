"""Photographs, decoded once: in memory up to a limit, beyond it in files that are mapped into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.atomic import write_atomically
from dvmsr.errors import ArgumentError, DatasetError, ImageReadError
from dvmsr.images import imresize, make_pair, read_image
from dvmsr.images.folders import enumerate_some
from dvmsr.training.photograph_files import PhotographFile
from dvmsr.training.settings import DataSettings

Pixels = NDArray[Any] | Path
"""An array, or the .npy file that holds it."""


def open_pixels(pixels: Pixels) -> NDArray[Any]:
    """Return the array. Of a file, only what is touched is read, and nothing stays open."""
    if isinstance(pixels, Path):
        mapped: NDArray[Any] = np.load(pixels, mmap_mode="r")
        return mapped
    return pixels


@dataclass(frozen=True)
class Photograph:
    """One photograph in one size, as RGB of shape (H, W, 3)."""

    name: str
    """Its file, and its size if that is not the file's."""

    low: NDArray[np.uint8]
    """The network's input."""

    high: Pixels
    """The ground truth, uint8; ``scale`` times as large as ``low``."""

    teacher: Pixels | None = None
    """The output of the teacher's networks in [0, 1] and not clipped, float16, as large as ``high``."""

    teacher_image: Pixels | None = None
    """What the teacher's folder holds, uint8 or uint16, as large as ``high``."""


class PhotographLoader:
    """Decodes photographs and makes their LR images.

    Args:
        data: See :class:`DataSettings`.
        scale: Enlargement to train for.
        memory: Bytes that decoded photographs may take in memory.
        cache: Folder for those beyond it.
        threads: Photographs that are decoded at once.
        report: Gets a line of text when something is left out.
    """

    def __init__(
        self,
        data: DataSettings,
        scale: int,
        memory: int,
        cache: Path,
        threads: int,
        report: Callable[[str], object],
    ) -> None:
        self._data = data
        self._scale = scale
        self._memory = memory
        self._cache = cache
        self._threads = threads
        self._report = report

    def load(self, files: Sequence[PhotographFile]) -> list[Photograph]:
        """Decode files; damaged ones are named and left out.

        Raises:
            DatasetError: A photograph is smaller than a patch, sizes of HR and LR or of the teacher's output
                do not fit, or all files are damaged.
            ArgumentError: The cache folder cannot be written.
        """
        photographs: list[Photograph] = []
        damaged: list[ImageReadError] = []
        small: list[str] = []
        for sizes in self._decode_all(files):
            if isinstance(sizes, ImageReadError):
                damaged.append(sizes)
                continue
            for photograph in sizes:
                if min(photograph.low.shape[:2]) >= self._data.patch:
                    photographs.append(self._place(photograph))
                elif photograph is sizes[0]:
                    small.append(photograph.name)
        if small:
            side = self._scale * self._data.patch
            raise DatasetError(
                f"smaller than a patch of {side}x{side} pixels: {enumerate_some(small)};"
                " take these away, or make data.patch smaller"
            )
        for error in damaged:
            self._report(str(error))
        if damaged:
            self._report(f"{len(damaged)} of {len(files)} images left out")
        if not photographs:
            raise DatasetError(f"none of the {len(files)} images can be read, e.g. {damaged[0]}")
        return photographs

    def _decode_all(self, files: Sequence[PhotographFile]) -> Iterator[list[Photograph] | ImageReadError]:
        """In the files' order, and few at a time, so that what waits for its place takes little memory."""
        remaining = iter(files)
        with ThreadPoolExecutor(self._threads) as pool:
            while some := list(islice(remaining, 4 * self._threads)):
                yield from pool.map(self._decode, some)

    def _decode(self, file: PhotographFile) -> list[Photograph] | ImageReadError:
        """The photograph in its own size, and in those of the augmentation."""
        try:
            high = _read_8_bit(file.high)
            low = None if file.low is None else _read_8_bit(file.low)
            teacher = None if file.teacher is None else read_image(file.teacher)
        except ImageReadError as error:
            return error
        if low is not None:
            return [_with_teacher(self._pair(file, low, high), file, teacher)]
        sizes = [_with_teacher(Photograph(str(file.high), *make_pair(high, self._scale)), file, teacher)]
        for factor in self._data.scale_augmentation:
            smaller = make_pair(imresize(high, factor), self._scale)
            sizes.append(Photograph(f"{file.high} at {factor}", *smaller))
        return sizes

    def _pair(self, file: PhotographFile, low: NDArray[np.uint8], high: NDArray[np.uint8]) -> Photograph:
        height, width = (self._scale * side for side in low.shape[:2])
        # LR images are made from an HR image whose sides were cut to multiples of the scale.
        extra = (high.shape[0] - height, high.shape[1] - width)
        if not all(0 <= rest < self._scale for rest in extra):
            raise DatasetError(
                f"{file.high} is {high.shape[1]}x{high.shape[0]} pixels, but scale {self._scale} of"
                f" {file.low} is {width}x{height}"
            )
        return Photograph(str(file.high), low, np.ascontiguousarray(high[:height, :width]))

    def _place(self, photograph: Photograph) -> Photograph:
        high = self._place_pixels(photograph.high, photograph.low.nbytes)
        teacher = photograph.teacher_image
        return replace(
            photograph, high=high, teacher_image=None if teacher is None else self._place_pixels(teacher)
        )

    def _place_pixels(self, pixels: Pixels, more: int = 0) -> Pixels:
        """Leave an array in memory if there is room for it and ``more`` bytes, else write it to the cache."""
        assert isinstance(pixels, np.ndarray)
        if pixels.nbytes + more <= self._memory:
            self._memory -= pixels.nbytes + more
            return pixels
        height, width, _ = pixels.shape
        # By the pixels themselves, so that no file can stand for another, however alike they begin.
        digest = hashlib.sha256(pixels.data).hexdigest()
        target = self._cache / f"pixels-{digest[:24]}-{width}x{height}.npy"
        if not target.exists():
            save_array(target, pixels)
        return target


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file, whole or not at all; its folder is made if missing.

    Raises:
        ArgumentError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            np.save(file, array)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be written: {error.strerror}") from error


def _with_teacher(photograph: Photograph, file: PhotographFile, output: NDArray[Any] | None) -> Photograph:
    if output is None:
        return photograph
    height, width, _ = open_pixels(photograph.high).shape
    if output.shape[:2] != (height, width):
        raise DatasetError(
            f"{file.teacher} is {output.shape[1]}x{output.shape[0]} pixels, but the output for"
            f" {photograph.name} must be {width}x{height}: its sides, cut to multiples of the scale"
        )
    return replace(photograph, teacher_image=output)


def _read_8_bit(path: Path) -> NDArray[np.uint8]:
    image = read_image(path)
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image
