"""Reports of runs as JSON files: a report is replaced by the next one, and nothing else ever is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dvmsr.atomic import write_atomically
from dvmsr.errors import ArgumentError
from dvmsr.targets import check_folder


def check_report(path: Path, is_report: Callable[[Any], bool]) -> None:
    """Find out before the work whether a report may be written.

    Args:
        path: The file to write.
        is_report: Tells of a JSON file's content whether an earlier run wrote it; it may raise the errors of
            content that has another form.

    Raises:
        ArgumentError: It exists and is no report, cannot be written there, or is ``-``, by which others mean
            standard output.
    """
    if path.name == "-":
        raise ArgumentError("-: expected the name of a file for the report")
    if path.exists():
        try:
            known = is_report(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = False
        if not known:
            raise ArgumentError(
                f"{path}: exists already and is no report; choose another name for the report"
            )
    check_folder(path, ArgumentError)


def write_report(path: Path, content: Mapping[str, Any]) -> None:
    """Write a report, which appears whole or not at all.

    Args:
        path: The file.
        content: What JSON can hold, and paths, which become strings.

    Raises:
        OSError: It cannot be written.
    """
    # Bytes of names that are not UTF-8 come out as escapes, by which json.loads gives them back.
    text = json.dumps(content, indent=1, default=str)
    with write_atomically(path) as file:
        file.write(text.encode() + b"\n")
