"""What a person sees of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dvmsr.training.display import Display


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_under_standard_error_ends_no_run(monkeypatch):
    # Without a buffer, which would be written once more where it is closed.
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - pathlib has no unbuffered text
        monkeypatch.setattr(sys, "stderr", _Text(full))
        with pytest.raises(OSError, match="No space left"):
            print("text", file=sys.stderr)
        Display().line("text")


class _Text:
    encoding = "utf-8"

    def __init__(self, file):
        self._file = file

    def write(self, text):
        self._file.write(text.encode())

    def flush(self):
        pass

    def isatty(self):
        return False
