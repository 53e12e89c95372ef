"""How large an enlarged image is to be. Needs neither NumPy nor an image."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from dvmsr.errors import ArgumentError

LARGEST_SCALE = 16.0
"""The most by which a side is enlarged."""

_EXPECTED = "expected a size such as 3840x2160 (the frame to fit into), 3840x, x2160 or long=4000"
_FRAME = re.compile(r"(\d*)x(\d*)|long=(\d+)")


@dataclass(frozen=True)
class OutputSize:
    """How large an enlarged image is to be: so many times its source, or as large as fits into a frame.

    One of: ``scale``; ``width``, ``height`` or both; ``longest``. The sides keep their proportion.
    """

    scale: float | None = None
    """How many times larger each side becomes: above 1, up to 16."""

    width: int | None = None
    """Most columns, from 1."""

    height: int | None = None
    """Most rows, from 1."""

    longest: int | None = None
    """Pixels of the longer side, from 1."""

    def __post_init__(self) -> None:
        if self.scale is not None and not (
            isinstance(self.scale, (int, float))
            and not isinstance(self.scale, bool)
            and 1 < self.scale <= LARGEST_SCALE
        ):
            raise ArgumentError(
                f"scale must be a number above 1, up to {LARGEST_SCALE:g}, got {self.scale!r}"
            )
        for name in ("width", "height", "longest"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ArgumentError(f"{name} must be a whole number of pixels from 1, got {value!r}")
        frame = self.width is not None or self.height is not None
        if (self.scale is not None) + frame + (self.longest is not None) != 1:
            raise ArgumentError("expected one of a scale, a frame of a width and height, and a longest side")

    @classmethod
    def parse(cls, text: str) -> OutputSize:
        """Read a size as ``--size`` takes it: ``3840x2160``, ``3840x``, ``x2160`` or ``long=4000``.

        Raises:
            ArgumentError: It is none of these.
        """
        match = _FRAME.fullmatch(text.strip().lower())
        # Numbers of thousands of digits are no sizes, and take Python long to read.
        if match is None or not any(match.groups()) or len(text) > 32:
            raise ArgumentError(f"{_EXPECTED}; got {text[:40]!r}")
        width, height, longest = (int(digits) if digits else None for digits in match.groups())
        if 0 in (width, height, longest):
            raise ArgumentError(f"{_EXPECTED}; got {text!r}")
        return cls(width=width, height=height, longest=longest)

    @property
    def tag(self) -> str:
        """What names of files of this size carry: ``x4``, ``x2.5``, ``3840x2160``, ``w3840``, ``long9``."""
        if self.scale is not None:
            return f"x{self.scale:.10g}"
        if self.longest is not None:
            return f"long{self.longest}"
        if self.width is None:
            return f"h{self.height}"
        return f"w{self.width}" if self.height is None else f"{self.width}x{self.height}"

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return the columns and rows that an image gets.

        Args:
            width: Columns of the source, from 1.
            height: Rows of the source, from 1.

        Raises:
            ArgumentError: A side would become more than 16 times as long.
        """
        factor = self._factor(width, height)
        if factor > LARGEST_SCALE:
            raise ArgumentError(
                f"{width}x{height} pixels cannot become {self.tag}: that is {factor:,.4g} times larger, "
                f"expected up to {LARGEST_SCALE:g}"
            )
        # Half up, as people round; and a side that the frame names is met exactly.
        return tuple(max(1, math.floor(factor * side + 0.5)) for side in (width, height))  # type: ignore[return-value]

    def _factor(self, width: int, height: int) -> float:
        if self.scale is not None:
            return self.scale
        if self.longest is not None:
            return self.longest / max(width, height)
        pairs = ((self.width, width), (self.height, height))
        return min(most / side for most, side in pairs if most is not None)


def asked_size(scale: float | None, size: str | OutputSize | None) -> OutputSize | None:
    """Return the size that a scale or a frame asks for; None where neither is given.

    Args:
        scale: See ``OutputSize.scale``.
        size: A size, or one as ``OutputSize.parse`` reads it.

    Raises:
        ArgumentError: Both are given, or one is no such thing.
    """
    if scale is not None and size is not None:
        raise ArgumentError("expected either a scale or a size, got both")
    if scale is not None:
        return OutputSize(scale=scale)
    return OutputSize.parse(size) if isinstance(size, str) else size
