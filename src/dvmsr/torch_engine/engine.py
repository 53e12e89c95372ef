"""The network on a device of PyTorch, with the face of the native engine."""

from __future__ import annotations

import torch
from numpy.typing import DTypeLike

from dvmsr.engine import pixel_type, whole_number
from dvmsr.errors import ArgumentError
from dvmsr.model import DVMSR
from dvmsr.torch_engine.bands import Bands
from dvmsr.torch_engine.cuda import CudaTransfer, make_streams
from dvmsr.torch_engine.devices import find_type
from dvmsr.torch_engine.height import band_height
from dvmsr.torch_engine.stream import TorchStream
from dvmsr.torch_engine.transfer import DirectTransfer, Transfer
from dvmsr.weights import Weights


class TorchEngine:
    """A network that is ready to run on a device of PyTorch.

    It does not change, so one engine can serve many streams in many threads.

    Args:
        weights: The network.
        device: Where to compute.
        precision: What to compute in: "fp32" (never TF32), or "bf16" or "fp16" by autocast. The last
            convolution, which makes the pixels, is always computed in float32, and with "fp16" so are the
            blocks' convolutions, which go beyond its range.
        band_rows: Rows to compute at a time, from 1. By default as many as keep the device busy, or as fit
            into its free memory when a stream starts.

    Raises:
        ArgumentError: The precision is unknown, or memory does not suffice for the network.
    """

    def __init__(
        self, weights: Weights, device: torch.device, precision: str = "fp32", band_rows: int | None = None
    ) -> None:
        self._dtype = find_type(precision, device)
        self._band_rows = None if band_rows is None else whole_number("band_rows", band_rows)
        self._device = device
        self.scale = weights.config.scale
        try:
            self._network = DVMSR.from_weights(weights).to(device).eval().requires_grad_(False)
        except torch.OutOfMemoryError as error:
            raise ArgumentError(
                f'not enough memory for the network on device "{device}": free some, or use device "cpu"'
            ) from error
        # One set for all images: PyTorch keeps freed memory for the stream that it was taken on.
        self._streams = make_streams(device) if device.type == "cuda" else None

    def stream(self, width: int, dtype: DTypeLike, threads: int) -> TorchStream:
        """Start an image.

        Args:
            width: Pixels in a row of the input, from 1.
            dtype: Type of the pixels: uint8, uint16 or float32.
            threads: Not used: PyTorch has its own setting. It is here as for the native engine.

        Raises:
            ArgumentError: An argument is none of these, or memory does not suffice for the width.
        """
        width = whole_number("width", width)
        whole_number("threads", threads)
        pixels = pixel_type(dtype)
        rows = self._band_rows or band_height(self._network.config, self._device, width)

        def make_transfer(rows: int) -> Transfer:
            if self._streams is not None:
                return CudaTransfer(self._network, self._dtype, self._streams, rows, width, pixels)
            return DirectTransfer(Bands(self._network, width, self._dtype), self._device, rows, width, pixels)

        return TorchStream(self._network.config, width, pixels, self._device, rows, make_transfer)
