"""What people are told, whatever the names in it are made of."""

from __future__ import annotations

import os
import sys
from typing import TextIO

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
    try:
        typer.echo(line.encode(encoding, "backslashreplace").decode(encoding), err=error)
    except OSError:
        if not error:
            raise
        # Nobody can be told that, either; what is asked for is done none the less.
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """If a standard stream fails, let nothing more be written to it: not at the end, either."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return repr(character)[1:-1]
