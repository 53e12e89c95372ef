"""The ``dvmsr`` command: one module per subcommand, each importing what it needs only when it runs."""

# As little as can be, for until ``main`` has begun a signal shows a traceback.
import os
import signal
import sys

from dvmsr.cli.address_space import reserve_little
from dvmsr.cli.signals import SignalsRaise, end_process, exit_code, leave_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 an error, 130 interrupted, 143 terminated, 129 the terminal hung up.
    """
    leave_at_once()
    reserve_little()
    _replace_closed_streams()
    from dvmsr.cli.commands import run

    signals = SignalsRaise()
    try:
        with signals:
            code: object = run()
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        code = exit_code(signal.SIGINT)
    if signals.interrupted:
        # Not by way of Python's own end: it waits for threads that may be inside a library for minutes.
        sys.stdout.flush()
        end_process(code if isinstance(code, int) else 1)
    sys.exit(code)  # type: ignore[arg-type]


def _replace_closed_streams() -> None:
    """Let what goes to a closed standard stream (``2>&-``) go nowhere, and not into the next file opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It gets the lowest number that is free, which is the closed one's.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
