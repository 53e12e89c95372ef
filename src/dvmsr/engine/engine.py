"""The native engine behind a small Python face."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dvmsr.config import RGB_MEAN
from dvmsr.engine.profile import Profile, make_profile
from dvmsr.errors import ArgumentError
from dvmsr.weights import Weights, check_weights

# A machine that only trains, on a GPU, may not have it. Using the engine is an error there.
with contextlib.suppress(ModuleNotFoundError):
    import dvmsr._native as _native

PIXEL_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
"""The types of pixels that the engine reads and writes."""

PRECISIONS = ("fp32", "bf16")
"""What the engine's wide layers multiply: float32 or bfloat16."""

MAX_COUNT = 2**31 - 1
"""Most pixels in a row, and threads, that the native code counts."""


def instruction_set() -> str:
    """Return the name of the instructions in use: amx, avx512_bf16, avx512, avx2 or baseline.

    The best that the processor has, unless the environment variable DVMSR_INSTRUCTION_SET names one.

    Raises:
        ArgumentError: The variable names one that is unknown or that the processor lacks.
    """
    try:
        return _native.instruction_set()
    except RuntimeError as error:
        raise ArgumentError(str(error)) from error


def available_threads() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole_number(name: str, value: object) -> int:
    """Return a count of something as an int.

    Args:
        name: What is counted, for the message.
        value: An int of Python's or NumPy's.

    Raises:
        ArgumentError: The value is of another type, below 1 or above ``MAX_COUNT``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ArgumentError(f"{name} must be a whole number from 1, got {value!r}")
    if int(value) > MAX_COUNT:
        # Not the value: it may have thousands of digits.
        raise ArgumentError(f"{name} must be a whole number up to {MAX_COUNT}, got a larger one")
    return int(value)


def pixel_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return a type of pixels as NumPy's.

    Raises:
        ArgumentError: It is none of ``PIXEL_TYPES``.
    """
    if np.dtype(dtype) not in PIXEL_TYPES:
        raise ArgumentError(f"pixels must be uint8, uint16 or float32, got {np.dtype(dtype)}")
    return np.dtype(dtype)


def check_rows(rows: object, width: int, dtype: np.dtype[Any]) -> None:
    """Check that something is rows of an image.

    Args:
        rows: To be (rows, width, 3) of the type.
        width: Pixels in a row.
        dtype: Type of the pixels.

    Raises:
        ArgumentError: It is not.
    """
    if not isinstance(rows, np.ndarray):
        raise ArgumentError(f"expected an array of rows, got {type(rows).__name__}")
    if rows.shape[1:] != (width, 3) or rows.dtype != dtype:
        raise ArgumentError(
            f"expected rows of shape (rows, {width}, 3) and type {dtype}, got {rows.shape} of {rows.dtype}"
        )


class Engine:
    """A network that is ready to run on the CPU.

    It does not change, so one engine can serve many streams in many threads.

    Args:
        weights: The network.
        precision: What the wide layers multiply: "fp32", or "bf16" for weights and features rounded to
            bfloat16. Sums are float32 in both, as is all between those layers: LayerNorm, the causal
            convolution, the scan and the gates. "bf16" gives other pixels than "fp32", by a hundredth of
            a dB at most, and is faster where the processor multiplies bfloat16 (amx, avx512_bf16). "auto" is
            "bf16" on such a processor and "fp32" on others.

    Raises:
        ArgumentError: DVMSR_INSTRUCTION_SET names instructions that this machine does not have, or the
            precision is another, or memory does not suffice.
        WeightsError: The weights are not those of their configuration, or no finite numbers.
    """

    def __init__(self, weights: Weights, precision: str = "fp32") -> None:
        instruction_set()  # tells what is wrong with the variable
        if precision == "auto":
            precision = "bf16" if _native.multiplies_bfloat16() else "fp32"
        if precision not in PRECISIONS:
            raise ArgumentError(
                f'on device "cpu" precision must be {", ".join(PRECISIONS)} or auto, got {precision!r}'
            )
        check_weights(weights)
        config = weights.config
        self.config = config
        self.precision = precision
        try:
            self._network = _native.Network(
                {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in weights.parameters.items()},
                config.scale,
                config.channels,
                config.blocks,
                config.vimms_per_block,
                config.state_size,
                config.inner_channels,
                config.conv_width,
                config.dt_rank,
                config.vimm_residual,
                RGB_MEAN,
                precision == "bf16",
            )
        except MemoryError as error:
            raise ArgumentError(f"{weights.source}: not enough memory for the network") from error

    @property
    def scale(self) -> int:
        """How many times larger the output is on each side."""
        return self.config.scale

    def stream(self, width: int, dtype: DTypeLike, threads: int, *, profile: bool = False) -> EngineStream:
        """Start an image.

        Args:
            width: Pixels in a row of the input, from 1.
            dtype: Type of the pixels: uint8, uint16 or float32.
            threads: How many threads may work, from 1. The result does not depend on it.
            profile: Whether to count the time of every operation, for ``EngineStream.profile``.

        Raises:
            ArgumentError: An argument is none of these, or memory does not suffice for the width.
        """
        width, threads = whole_number("width", width), whole_number("threads", threads)
        pixels = pixel_type(dtype)
        try:
            native = _native.Stream(self._network, width, threads)
        except MemoryError as error:
            raise _too_wide(width) from error
        if profile:
            native.profile()
        return EngineStream(native, self, width, pixels, threads, profiled=profile)


class EngineStream:
    """One image on its way through the network; made by ``Engine.stream``.

    Memory grows with the width and not with the height. The output is the same, bit by bit, however
    the rows are cut into blocks and however many threads work. It takes one push at a time: one that
    comes from another thread in the meantime is refused.
    """

    def __init__(
        self,
        native: _native.Stream,
        engine: Engine,
        width: int,
        dtype: np.dtype[Any],
        threads: int,
        *,
        profiled: bool,
    ) -> None:
        self._native = native
        self._engine = engine
        self._width = width
        self._dtype = dtype
        self._threads = threads
        self._profiled = profiled
        self._scale = engine.scale
        self._finished = 0
        self._ended = False
        self._in_use = threading.Lock()

    def push(self, rows: NDArray[Any], *, last: bool = False) -> NDArray[Any]:
        """Give the next rows of the image and take the rows of output that they finish.

        Args:
            rows: (rows, width, 3) RGB of the stream's type, any number of rows, 0 included; float32 in
                [0, 1], integers over their full range.
            last: Whether the image ends with these rows.

        Returns:
            (scale * finished, scale * width, 3) of the same type; integers are rounded and clipped,
            float32 is not clipped. The output runs some rows late until ``last``.

        Raises:
            ArgumentError: The rows are of another width or type, the image has ended, another thread's push
                is under way, or memory does not suffice; that ends the image.
            KeyboardInterrupt: Ctrl-C, within a fraction of a second, in the main thread; that ends the image,
                as does any other exception of a signal's handler.
        """
        with self._alone():
            return self._push(rows, last)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise ArgumentError(
                "another thread is pushing into this stream: give each thread a stream of its own"
            )
        try:
            yield
        finally:
            self._in_use.release()

    def _push(self, rows: NDArray[Any], last: bool) -> NDArray[Any]:
        if self._ended:
            raise ArgumentError("the image has ended: start another stream")
        check_rows(rows, self._width, self._dtype)
        # Until all has gone well: a signal's handler may raise an exception in between.
        self._ended = True
        rows = np.ascontiguousarray(rows)
        finished = self._native.rows_after(len(rows), last)
        shape = (self._scale * finished, self._scale * self._width, 3)
        try:
            output = np.empty(shape, self._dtype)
        except MemoryError as error:
            raise ArgumentError(
                f"not enough memory for {shape[1]}x{shape[0]} pixels of output at once; "
                "free some, or push fewer rows"
            ) from error
        try:
            self._native.run(rows, output, last)
        except MemoryError as error:
            raise _too_wide(self._width) from error
        self._ended = last
        self._finished += finished
        return output

    def profile(self) -> Profile:
        """Return where the time went so far, beside what this machine could do at best.

        It measures the machine's peak first, which takes some tens of milliseconds of one core.

        Raises:
            ArgumentError: The stream was not made with ``profile=True``.
        """
        if not self._profiled:
            raise ArgumentError("this stream was not asked to count its time: make it with profile=True")
        with self._alone():
            seconds, operations = self._native.seconds(), self._native.seconds_of_operations()
        return make_profile(
            self._engine.config,
            self._engine.precision,
            self._threads,
            self._finished * self._width,
            self._dtype.itemsize,
            seconds,
            operations,
            _native.measure_peak(False),
            _native.measure_peak(self._engine.precision == "bf16")[0],
        )


def _too_wide(width: int) -> ArgumentError:
    return ArgumentError(
        f"not enough memory for an image {width} pixels wide; it grows with the width, by about 23 KiB per "
        "column with the shipped network: cut the image into narrower ones"
    )
