"""The networks that the page enlarges by, each loaded once, and how fast they are on this machine."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from dvmsr.batch.forecast import seconds_per_pixel
from dvmsr.inference.upscaler import Upscaler
from dvmsr.web.settings import Settings
from dvmsr.weights import Weights, shipped_weights


class Networks:
    """Finds the network for some settings, as ``dvmsr upscale`` would.

    Args:
        weights: The weights for all settings; None takes the shipped ones, by the scale that is asked for.
        device: See ``Upscaler``.
        threads: See ``Upscaler``.
        precision: See ``Upscaler``.

    Raises:
        DvmsrError: As of ``Upscaler``.
    """

    def __init__(
        self,
        weights: Weights | None = None,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        self._weights = weights
        self._how = (device, threads, precision)
        self._lock = Lock()
        self._loaded: dict[Path | None, Upscaler] = {}
        self._speeds: dict[Upscaler, float | None] = {}
        # What is wrong with the device or the weights is told before the page is there.
        self.pixel_seconds(self.find(Settings()))

    def find(self, settings: Settings) -> Upscaler:
        """Return the network for some settings."""
        path = None
        if self._weights is None:
            size = settings.size
            path = shipped_weights(size.scale if size is not None and size.scale is not None else 4)
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = Upscaler(path or self._weights, *self._how)
            return self._loaded[path]

    def pixel_seconds(self, upscaler: Upscaler) -> float | None:
        """Return the seconds that a pixel takes, measured once; None on other devices than the CPU."""
        with self._lock:
            if upscaler not in self._speeds:
                self._speeds[upscaler] = seconds_per_pixel(upscaler) if upscaler.is_native else None
            return self._speeds[upscaler]
