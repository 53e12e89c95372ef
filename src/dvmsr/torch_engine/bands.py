"""Bands of pixels through the network, on the device where they lie."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from dvmsr.model import DVMSR
from dvmsr.model.bands import BandState, advance, start
from dvmsr.torch_engine.devices import computing_in

_FULL = {torch.uint8: 255.0, torch.uint16: 65535.0, torch.float32: 1.0}

launching = threading.RLock()
"""Held while a band is launched: TF32 is switched for the whole process, and what other threads did meanwhile
on the stream of a CUDA graph that is captured would go into the graph."""


class Bands:
    """One image on its way through the network, band by band.

    Args:
        network: The network.
        width: Pixels in a row.
        dtype: What to compute in: float32, bfloat16 or float16.
    """

    def __init__(self, network: DVMSR, width: int, dtype: torch.dtype) -> None:
        self._network = network
        self._dtype = dtype
        self._device = network.rgb_mean.device
        with torch.inference_mode():
            self._state = start(network, width)

    def run(self, pixels: Tensor, ends: range) -> Tensor:
        """Enlarge the next band.

        Args:
            pixels: (rows, width, 3) of uint8, uint16 or float32, on the device; rows from 0.
            ends: Whether the image ends with them; see ``dvmsr.model.bands.advance``.

        Returns:
            The rows that are finished, (scale * finished, scale * width, 3) of the same type, on the device;
            valid until the next band. Integers are rounded and clipped.

        Raises:
            torch.OutOfMemoryError: The band does not fit into memory. Nothing has changed then: its rows
                can be given again, fewer at a time.
        """
        with launching, computing_in(self._dtype, self._device):
            return self._run(pixels, ends)

    def _run(self, pixels: Tensor, ends: range) -> Tensor:
        output, self._state = self._compute(pixels, self._state, ends)
        return output

    def _compute(self, pixels: Tensor, state: BandState, ends: range) -> tuple[Tensor, BandState]:
        full = _FULL[pixels.dtype]
        # By a tensor: with the reciprocal of a plain number CUDA multiplies, and ends an ulp beside at times.
        images = pixels.to(torch.float32).div(pixels.new_full((), full, dtype=torch.float32))
        images = images.permute(2, 0, 1)[None]
        enlarged, state = advance(self._network, images, state, ends)
        values = enlarged[0].permute(1, 2, 0)
        if pixels.dtype.is_floating_point:
            return values.contiguous(), state
        # As the native engine rounds.
        values = values.mul(full).clamp_(0, full).add_(0.5)
        return values.to(pixels.dtype, memory_format=torch.contiguous_format), state
