"""How a picture is to be enlarged, as the page and programs say it: the options of ``dvmsr upscale``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvmsr.errors import ArgumentError
from dvmsr.images import WRITABLE_SUFFIXES, Encoding
from dvmsr.inference.files import PAGES, FileOptions
from dvmsr.inference.sizes import OutputSize, asked_size
from dvmsr.inference.transparency import ALPHA_METHODS
from dvmsr.weights import SHIPPED_SCALES

FORMATS = tuple(suffix[1:] for suffix in WRITABLE_SUFFIXES)
"""The formats that can be asked for."""

AUTO = "auto"
"""The model by which each picture gets the network that fits what it lost."""

# A network is kept for each, so there cannot be any number of them.
_STRENGTH_STEPS = 20
_NAMES = ("scale", "size", "model", "strength", "format", "quality", "lossless", "alpha", "pages")


@dataclass(frozen=True)
class Settings:
    """How a picture is to be enlarged. What is not said is as on the command line."""

    size: OutputSize | None = None
    """How large it becomes; None for the network's own scale."""

    format: str | None = None
    """One of :data:`FORMATS`; None for that of the picture."""

    encoding: Encoding = Encoding()  # noqa: RUF009 - it is frozen
    """How it is compressed."""

    alpha: str = "network"
    """How transparency is enlarged: one of ``ALPHA_METHODS``."""

    pages: str = "first"
    """Which pages or frames of a file are enlarged: one of ``PAGES``."""

    model: str = AUTO
    """Which network: :data:`AUTO`, "clean" or "photo"."""

    strength: float = 0.0
    """How far from the clean network to the photo network, from 0 to 1; of "clean" 0."""

    # A setting more is a field here, a line in `parse`, and its use in `networks.py` or `options`; on the
    # page a field in index.html and a line in settings.js.

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Settings:
        """Read settings by the names of the command line's options.

        Args:
            values: ``scale`` or ``size``, ``model``, ``strength``, ``format``, ``quality``, ``lossless``,
                ``alpha`` and ``pages``; numbers and truths may be texts, as they are in addresses. None and
                an empty text say nothing.

        Raises:
            ArgumentError: A name is unknown, or a value is none that it can have.
        """
        said = {name: value for name, value in values.items() if value is not None and value != ""}
        if unknown := sorted(said.keys() - set(_NAMES)):
            raise ArgumentError(f"expected settings among {', '.join(_NAMES)}; got {', '.join(unknown)}")
        scale = _number("scale", said["scale"]) if "scale" in said else None
        quality = _number("quality", said["quality"]) if "quality" in said else None
        if quality is not None and not quality.is_integer():
            raise ArgumentError(f"quality must be a whole number, got {quality:g}")
        image_format = _word("format", said["format"], FORMATS) if "format" in said else None
        size = said.get("size")
        if size is not None and not isinstance(size, str):
            raise ArgumentError(f"expected a size such as 3840x2160, got {size!r}")
        return cls(
            size=asked_size(scale, size),
            format=image_format,
            encoding=Encoding(None if quality is None else int(quality), _truth(said.get("lossless", False))),
            alpha=_word("alpha", said.get("alpha", "network"), ALPHA_METHODS),
            pages=_word("pages", said.get("pages", "first"), PAGES),
            model=(model := _word("model", said.get("model", AUTO), (AUTO, *SHIPPED_SCALES))),
            strength=_strength(model, said.get("strength")),
        )

    @property
    def suffix(self) -> str | None:
        """The suffix of the file to write; None for that of the picture."""
        return None if self.format is None else f".{self.format}"

    def options(self, max_pixels: int) -> FileOptions:
        """Return how a file is enlarged.

        Args:
            max_pixels: Most pixels of a picture.
        """
        return FileOptions(
            size=self.size,
            encoding=self.encoding,
            alpha=self.alpha,
            pages=self.pages,
            max_pixels=max_pixels,
        )

    def described(self, scale: int) -> str:
        """Say them in a few words.

        Args:
            scale: The network's own.
        """
        words = [(self.size or OutputSize(scale=scale)).tag]
        if self.model != AUTO:
            words.append(self.model if self.strength in (0, 1) else f"{self.model} {self.strength:g}")
        if self.format is not None:
            words.append(self.format.upper())
        if self.encoding.quality is not None:
            words.append(f"quality {self.encoding.quality}")
        if self.encoding.lossless:
            words.append("lossless")
        if self.alpha != "network":
            words.append(f"{self.alpha} transparency")
        if self.pages != "first":
            words.append(f"{self.pages} pages")
        return ", ".join(words)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be a number, got {str(value)[:40]!r}") from None


def _strength(model: str, value: Any) -> float:
    if model != "photo":
        if value is not None:
            raise ArgumentError("strength is of the model photo: choose that as well, or none")
        return 0.0
    strength = 1.0 if value is None else _number("strength", value)
    if not 0 <= strength <= 1 or round(strength * _STRENGTH_STEPS) / _STRENGTH_STEPS != strength:
        step = 1 / _STRENGTH_STEPS
        raise ArgumentError(f"strength must be from 0 to 1 in steps of {step:g}, got {strength:g}")
    return strength


def _word(name: str, value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ArgumentError(f"{name} must be one of {', '.join(words)}; got {str(value)[:40]!r}")
    return str(value)


def _truth(value: Any) -> bool:
    if value in (True, "true", "1", "yes", "on"):
        return True
    if value in (False, "false", "0", "no", "off"):
        return False
    raise ArgumentError(f"lossless must be true or false, got {str(value)[:40]!r}")
