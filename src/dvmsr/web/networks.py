"""The networks that the page enlarges by, and how fast they are on this machine."""

from __future__ import annotations

from dvmsr.batch.forecast import seconds_per_pixel
from dvmsr.errors import ArgumentError
from dvmsr.inference.upscaler import Upscaler
from dvmsr.web.settings import AUTO, Settings
from dvmsr.weights import Weights


class Networks:
    """Finds the network for some settings, as ``dvmsr upscale`` would.

    Args:
        weights: The weights for all settings; None takes the shipped ones, by the model that is asked for.
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
        self.has_models = weights is None
        """Whether there are models to choose among."""
        if weights is None:
            self._upscaler = Upscaler(None, device, threads, precision, model=AUTO)
        else:
            self._upscaler = Upscaler(weights, device, threads, precision)
        self.scale = self._upscaler.scale
        """By how much they enlarge."""
        # The models are of one shape, so this is the speed of each.
        self.pixel_seconds = seconds_per_pixel(self._upscaler) if self._upscaler.is_native else None
        """Seconds that a pixel takes; None on other devices than the CPU."""

    def find(self, settings: Settings) -> Upscaler:
        """Return the network for some settings.

        Raises:
            ArgumentError: A model is asked for, and there are none to choose among.
        """
        if settings.model == AUTO:
            return self._upscaler
        if not self.has_models:
            raise ArgumentError(
                "this page was started with weights of its own (--weights): there is no model to choose"
            )
        # Each is made once, and kept.
        return self._upscaler.with_strength(settings.strength)
