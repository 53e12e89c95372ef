"""Saving what a network made of a benchmark set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvmsr.atomic import write_atomically
from dvmsr.errors import ImageWriteError
from dvmsr.evaluation.datasets import BenchmarkSet


class OutputFolder:
    """A folder of enlarged images, ``SET/NAME_x4.png``.

    Args:
        folder: The folder; made if missing.
        scale: Enlargement, for the names.
    """

    def __init__(self, folder: Path, scale: int) -> None:
        self._folder = folder
        self._scale = scale

    def check(self, sets: Iterable[BenchmarkSet]) -> None:
        """Make the folders of sets, and check that nothing would be overwritten.

        Raises:
            ImageWriteError: A folder cannot be made, or a file exists.
        """
        check_new(self._target(benchmark, pair.name) for benchmark in sets for pair in benchmark.pairs)

    def keep(self, benchmark: BenchmarkSet) -> Callable[[str, NDArray[np.uint8]], None]:
        """Return what saves an image of a set by its name, (H, W, 3).

        It raises ``ImageWriteError`` where a file cannot be written.
        """
        return lambda name, image: save_image(self._target(benchmark, name), image)

    def _target(self, benchmark: BenchmarkSet, name: str) -> Path:
        return self._folder / benchmark.name / f"{name}_x{self._scale}.png"


def check_new(targets: Iterable[Path]) -> None:
    """Make the folders of files, and check that none of these exists.

    Raises:
        ImageWriteError: A folder cannot be made, or a file exists.
    """
    for target in targets:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageWriteError(f"{target.parent}: cannot be created: {error.strerror}") from error
        if target.exists():
            raise ImageWriteError(f"{target}: exists already; save into another folder")


def save_image(target: Path, image: NDArray[np.uint8]) -> None:
    """Save (H, W, 3) as PNG, whole or not at all.

    Raises:
        ImageWriteError: The file cannot be written.
    """
    import pyvips

    height, width, _ = image.shape
    pixels = pyvips.Image.new_from_memory(np.ascontiguousarray(image).data, width, height, 3, "uchar")
    save_bytes(target, pixels.copy(interpretation="srgb").pngsave_buffer())


def save_bytes(target: Path, content: bytes) -> None:
    """Save a file's content, whole or not at all.

    Raises:
        ImageWriteError: The file cannot be written.
    """
    try:
        with write_atomically(target) as file:
            file.write(content)
    except OSError as error:
        raise ImageWriteError(f"{target}: cannot be written: {error.strerror}") from error
