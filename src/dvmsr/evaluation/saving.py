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
        for benchmark in sets:
            folder = self._folder / benchmark.name
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageWriteError(f"{folder}: cannot be created: {error.strerror}") from error
            for pair in benchmark.pairs:
                target = self._target(benchmark, pair.name)
                if target.exists():
                    raise ImageWriteError(f"{target}: exists already; save into another folder")

    def keep(self, benchmark: BenchmarkSet) -> Callable[[str, NDArray[np.uint8]], None]:
        """Return what saves an image of a set by its name, (H, W, 3).

        It raises ``ImageWriteError`` where a file cannot be written.
        """

        def save(name: str, image: NDArray[np.uint8]) -> None:
            import pyvips

            height, width, _ = image.shape
            pixels = pyvips.Image.new_from_memory(np.ascontiguousarray(image).data, width, height, 3, "uchar")
            target = self._target(benchmark, name)
            try:
                with write_atomically(target) as file:
                    file.write(pixels.copy(interpretation="srgb").pngsave_buffer())
            except OSError as error:
                raise ImageWriteError(f"{target}: cannot be written: {error.strerror}") from error

        return save

    def _target(self, benchmark: BenchmarkSet, name: str) -> Path:
        return self._folder / benchmark.name / f"{name}_x{self._scale}.png"
