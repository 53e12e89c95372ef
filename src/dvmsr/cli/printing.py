"""What people are told, whatever the names in it are made of."""

from __future__ import annotations

import os
import sys

import typer


def printable(text: str | os.PathLike[str]) -> str:
    """Return a text in one line that no terminal takes for orders and every encoding can write.

    What is not to be seen is shown by its number: ends of lines, escapes of terminals, marks that turn the
    direction of writing, and the bytes of a file's name that are not UTF-8.
    """
    name = os.fspath(text)
    if name.isprintable():
        return name
    return "".join(character if character.isprintable() else _escaped(character) for character in name)


def say(text: str, *, error: bool = False) -> None:
    """Print a line on standard output, or on standard error.

    Args:
        text: The line; see :func:`printable`.
        error: Whether it goes to standard error.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    line = printable(text)
    typer.echo(line.encode(encoding, "backslashreplace").decode(encoding), err=error)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return repr(character)[1:-1]
