"""What only CUDA has: copies beside the computation, and graphs of bands."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvmsr.model import DVMSR
from dvmsr.model.bands import GOES_ON, BandState, lag, map_state
from dvmsr.torch_engine.bands import Bands, launching


class Streams(NamedTuple):
    """Where the copies and the computation run beside each other."""

    upload: torch.cuda.Stream
    """From pinned memory to the device."""

    compute: torch.cuda.Stream
    """The network."""

    download: torch.cuda.Stream
    """From the device to pinned memory."""


def make_streams(device: torch.device) -> Streams:
    """Return streams that begin with what the current stream has done so far: the weights, for one."""
    with torch.cuda.device(device):
        # PyTorch gives this no types.
        streams = Streams(*(torch.cuda.Stream() for _ in range(3)))  # type: ignore[no-untyped-call]
        streams.compute.wait_stream(torch.cuda.current_stream())
    return streams


class GraphedBands(Bands):
    """Bands, those of the image's middle as one CUDA graph: one launch instead of hundreds.

    A band is in the middle if it leaves a state of the form that it found. The first of them runs as
    always, which compiles and chooses kernels; the second is captured, and it and those of the same height
    after it are replays. The graph reads and writes its state in place. The last band runs as always.

    Args:
        network: The network, on a CUDA device.
        width: Pixels in a row.
        dtype: What to compute in.
        stream: The current stream at each ``run``, where the graph is captured.
    """

    def __init__(self, network: DVMSR, width: int, dtype: torch.dtype, stream: torch.cuda.Stream) -> None:
        super().__init__(network, width, dtype)
        self._stream = stream
        self._middle_rows = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def _run(self, pixels: Tensor, ends: range) -> Tensor:
        if ends or len(pixels) != self._middle_rows:
            self._drop_graph()
            before = self._state
            output = super()._run(pixels, ends)
            self._middle_rows = len(pixels) if _form(before) == _form(self._state) else 0
            return output
        if self._graph is None:
            self._capture(pixels)
        assert self._graph is not None
        self._pixels.copy_(pixels)
        self._graph.replay()
        return self._output

    def _capture(self, pixels: Tensor) -> None:
        graph = torch.cuda.CUDAGraph()
        self._pixels = pixels.clone()
        # Not the graph's memory, so that the state outlives it.
        state = map_state(torch.clone, self._state)
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._output, after = self._compute(self._pixels, state, GOES_ON)
            map_state(Tensor.copy_, state, after)
        self._state, self._graph = state, graph

    def _drop_graph(self) -> None:
        if self._graph is not None:
            # It may still be running.
            self._stream.synchronize()
            self._graph = None
            del self._output


class CudaTransfer:
    """A transfer to a CUDA device in which reading, computing and writing overlap.

    While a band is computed, the next one is filled in and copied there, and the one before is copied back:
    on three streams, by two pairs of pinned and device memory on either side. A band's output is handed out
    when the next has been launched.

    Args:
        network: The network, on a CUDA device.
        compute: What to compute in.
        streams: Of the device, from ``make_streams``.
        rows: Rows of the largest band.
        width: Pixels in a row.
        dtype: Type of the pixels.
    """

    def __init__(
        self,
        network: DVMSR,
        compute: torch.dtype,
        streams: Streams,
        rows: int,
        width: int,
        dtype: np.dtype[Any],
    ) -> None:
        self._device = network.rgb_mean.device
        self._upload, self._compute, self._download = streams
        pixels = torch.from_numpy(np.empty(0, dtype)).dtype
        scale = network.config.scale
        # The last band finishes the rows that waited, too.
        output_shape = (scale * (rows + lag(network.config)), scale * width, 3)
        with launching, torch.cuda.device(self._device), torch.cuda.stream(self._compute):
            self._bands = GraphedBands(network, width, compute, self._compute)
            self._inputs = [_Slot((rows, width, 3), pixels, self._device) for _ in range(2)]
            self._outputs = [_Slot(output_shape, pixels, self._device) for _ in range(2)]
            # What had this memory before, of an image that was given up, may still be at work.
            self._upload.wait_stream(self._compute)
        self._loaded = 0
        self._launched = 0
        self._rows_on_the_way = 0

    def buffer(self) -> NDArray[Any]:
        """See ``Transfer``."""
        slot = self._inputs[self._loaded % 2]
        slot.copied.synchronize()
        buffer: NDArray[Any] = slot.host.numpy()
        return buffer

    def load(self, rows: int) -> None:
        """See ``Transfer``."""
        slot = self._inputs[self._loaded % 2]
        with torch.cuda.device(self._device), torch.cuda.stream(self._upload):
            self._upload.wait_event(slot.computed)
            slot.device[:rows].copy_(slot.host[:rows], non_blocking=True)
            slot.copied.record(self._upload)
        self._loaded += 1

    def run(self, first: int, stop: int, ends: range) -> list[NDArray[Any]]:
        """See ``Transfer``."""
        slot, output = self._inputs[(self._loaded - 1) % 2], self._outputs[self._launched % 2]
        with launching, torch.cuda.device(self._device):
            with torch.cuda.stream(self._compute):
                self._compute.wait_event(slot.copied)
                pixels = self._bands.run(slot.device[first:stop], ends)
                slot.computed.record(self._compute)
                self._compute.wait_event(output.copied)
                output.device[: len(pixels)].copy_(pixels)
                output.computed.record(self._compute)
            with torch.cuda.stream(self._download):
                self._download.wait_event(output.computed)
                output.host[: len(pixels)].copy_(output.device[: len(pixels)], non_blocking=True)
                output.copied.record(self._download)
        # Of the band before, while this one is computed.
        before = self.finish()
        self._launched += 1
        self._rows_on_the_way = len(pixels)
        return before

    def finish(self) -> list[NDArray[Any]]:
        """See ``Transfer``."""
        slot, rows = self._outputs[(self._launched - 1) % 2], self._rows_on_the_way
        self._rows_on_the_way = 0
        slot.copied.synchronize()
        return [slot.host[:rows].numpy().copy()]


class _Slot:
    """Memory for the pixels of one band, on either side, and when it may be used again."""

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> None:
        self.host = torch.empty(shape, dtype=dtype, pin_memory=True)
        self.device = torch.empty(shape, dtype=dtype, device=device)
        self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        """The copy from one side to the other is done."""
        self.computed = torch.cuda.Event()  # type: ignore[no-untyped-call]
        """The computation with the device's side is done."""


def _form(state: BandState) -> Any:
    return map_state(lambda x: (x.shape, x.dtype), state)
