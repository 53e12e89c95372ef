"""One image on its way through the PyTorch network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dvmsr.config import NetworkConfig
from dvmsr.engine import check_rows
from dvmsr.errors import ArgumentError
from dvmsr.model.bands import GOES_ON, all_end
from dvmsr.torch_engine.transfer import Transfer


class TorchStream:
    """One image on its way through the network; made by ``TorchEngine.stream``.

    Rows are gathered until a band is full. Memory grows with the width and not with the height. The output
    is the whole image's up to the rounding of floats, however the rows are cut into blocks. A band that does
    not fit into the device's memory is cut in half, and so are those after it. It takes one push at a time.
    """

    def __init__(
        self,
        config: NetworkConfig,
        width: int,
        dtype: np.dtype[Any],
        device: torch.device,
        band_rows: int,
        make_transfer: Callable[[int], Transfer],
    ) -> None:
        self._width = width
        self._dtype = dtype
        self._scale = config.scale
        self._all_end = all_end(config)
        self._device = device
        self._band_rows = band_rows
        self._make_transfer = make_transfer
        self._waiting = 0
        self._ended = False
        self._transfer: Transfer | None = None

    def push(self, rows: NDArray[Any], *, last: bool = False) -> NDArray[Any]:
        """Give the next rows of the image and take the rows of output that are finished.

        Args:
            rows: (rows, width, 3) RGB of the stream's type, any number of rows, 0 included; float32 in
                [0, 1], integers over their full range.
            last: Whether the image ends with these rows.

        Returns:
            (scale * finished, scale * width, 3) of the same type; integers are rounded and clipped,
            float32 is not clipped. The output runs up to some bands late until ``last``.

        Raises:
            ArgumentError: The rows are of another width or type, the image has ended, or memory does not
                suffice for one row; that ends the image.
        """
        if self._ended:
            raise ArgumentError("the image has ended: start another stream")
        check_rows(rows, self._width, self._dtype)
        # Until the work is done: what ends with an error cannot go on.
        self._ended = True
        try:
            finished = self._joined(self._take(rows, last))
        except torch.OutOfMemoryError as error:
            raise ArgumentError(
                f'not enough memory on device "{self._device}" for an image {self._width} '
                "pixels wide; it grows with the width: cut the image into narrower ones, or use device "
                '"cpu"'
            ) from error
        except MemoryError as error:
            raise ArgumentError("not enough memory for so much output at once; push fewer rows") from error
        self._ended = last
        return finished

    def _joined(self, blocks: list[NDArray[Any]]) -> NDArray[Any]:
        if len(blocks) == 1:
            return blocks[0]
        none = np.empty((0, self._scale * self._width, 3), self._dtype)
        return np.concatenate([none, *blocks])

    def _take(self, rows: NDArray[Any], last: bool) -> list[NDArray[Any]]:
        if self._transfer is None:
            if last:
                self._band_rows = max(1, min(self._band_rows, len(rows)))
            self._transfer = self._make_transfer(self._band_rows)
        finished = []
        while len(rows) or last:
            taken = min(self._band_rows - self._waiting, len(rows))
            self._transfer.buffer()[self._waiting : self._waiting + taken] = rows[:taken]
            self._waiting += taken
            rows = rows[taken:]
            if last and not len(rows):
                finished += self._run_band(self._transfer, self._all_end)
                return finished + self._transfer.finish()
            if self._waiting == self._band_rows:
                finished += self._run_band(self._transfer, GOES_ON)
        return finished

    def _run_band(self, transfer: Transfer, ends: range) -> list[NDArray[Any]]:
        """Enlarge the rows that wait: at once, or in as many steps as memory wants."""
        rows, self._waiting = self._waiting, 0
        transfer.load(rows)
        finished: list[NDArray[Any]] = []
        steps = [(0, rows, ends)]
        while steps:
            first, stop, ends = step = steps.pop(0)
            try:
                finished += transfer.run(*step)
            except torch.OutOfMemoryError:
                # Tried again after this clause, whose error keeps the tensors of the attempt.
                if stop - first > 1:
                    middle = (first + stop) // 2
                    steps[:0] = [(first, middle, GOES_ON), (middle, stop, ends)]
                    self._band_rows = min(self._band_rows, middle - first)
                elif len(ends) > 1:
                    one_by_one = [(stop, stop, range(i, i + 1)) for i in ends]
                    steps[:0] = [(first, stop, GOES_ON), *one_by_one]
                else:
                    raise
        return finished
