"""Numbers on the command line: what was expected and what came, in our own words."""

from __future__ import annotations

from collections.abc import Callable

import typer


def number(text: str) -> float:
    """Read a number.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a number, got {text[:40]!r}") from error


def whole_number(least: int | None = None, most: int | None = None) -> Callable[[str], int]:
    """Make what reads a whole number, and refuses one below ``least`` or above ``most``.

    What it makes raises ``typer.BadParameter``.
    """
    bounds = (f" from {least}" if least is not None else "") + (f" to {most}" if most is not None else "")

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise typer.BadParameter(f"expected a whole number{bounds}, got {text[:40]!r}") from error
        if (least is not None and value < least) or (most is not None and value > most):
            raise typer.BadParameter(f"expected a whole number{bounds}, got {text[:40]}")
        return value

    return read
