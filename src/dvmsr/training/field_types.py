"""Values of dataclass fields against their type hints, both from Python and from a TOML file."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dvmsr.errors import ArgumentError

_LARGEST = 2**63 - 1
"""What TOML's whole numbers, NumPy and PyTorch hold."""

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def require(fine: bool, message: str) -> None:
    """Raise ``ArgumentError`` with the message unless a value is fine."""
    if not fine:
        raise ArgumentError(message)


def check_types(settings: Any) -> None:
    """Check every field of a dataclass of ints, floats, bools, texts, choices and tuples of these.

    A list where a tuple belongs is made one, even of a frozen dataclass: Python's users write both.

    Raises:
        ArgumentError: A value does not fit its type hint; the message names the field.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        value = _from_lists(getattr(settings, field.name), hints[field.name])
        object.__setattr__(settings, field.name, value)
        if _is_beyond_measure(value):
            raise ArgumentError(f"{field.name} must be up to {_LARGEST}, got a larger number")
        if not _fits(value, hints[field.name]):
            raise ArgumentError(f"{field.name} must be {_describe(hints[field.name])}, got {value!r}")


def _from_lists(value: Any, hint: Any) -> Any:
    """Return a value of TOML's or Python's in the form that a field of this hint has, if it has one."""
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_from_lists(item, get_args(hint)[0]) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    return value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each of it {_describe(get_args(hint)[0])}"
    return _NAMES[hint]


def _is_beyond_measure(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_beyond_measure, value))
    return isinstance(value, int) and abs(value) > _LARGEST
