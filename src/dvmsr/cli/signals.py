"""What Ctrl-C (SIGINT), SIGTERM and SIGHUP do to a command, from its first line to its last.

- Until the command begins there is nothing to tidy up: the process ends at once.
- Then they raise an exception, so that unfinished files are removed and checkpoints saved. A second one ends
  the process at once, and so does a thread where the first has come to nothing within some seconds: the main
  thread may be inside a library, or have lost the exception in a callback. Either removes unfinished files,
  and so does the command's end after a first one, for other threads may be at work on some.
- When the command is done, they do what the system does by default.

None shows a traceback. What was ignored from the start (``nohup``) stays ignored. Where somebody else has set
a handler, such as training, that one alone decides.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 3.0
_SECONDS_TO_OPEN = 0.1
# Whoever holds it ends the process: the main thread and the one that watches may both want to.
_leaving = _thread.allocate_lock()


def exit_code(number: int) -> int:
    """Return the exit code of a process that a signal ended, as shells count."""
    return 128 + number


def leave_at_once() -> None:
    """Let signals end the process at once."""
    _listen(_leave)


class SignalsRaise:
    """While a command runs, signals raise an exception: KeyboardInterrupt, or SystemExit with their code."""

    def __init__(self) -> None:
        self.interrupted = False
        """Whether one came."""
        self._write_end = -1

    def __enter__(self) -> SignalsRaise:
        # Late, for it takes some milliseconds in which a signal would show a traceback.
        import threading

        read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        threading.Thread(target=self._watch, args=(read_end,), name="dvmsr-signals", daemon=True).start()
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_forget_the_parents_watch)
        _listen(self._raise)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        _listen(_leave if self.interrupted else signal.SIG_DFL)
        # Its thread ends with it.
        os.close(self._write_end)

    def _raise(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's signature
        self.interrupted = True
        _listen(_leave)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(exit_code(number))

    def _watch(self, read_end: int) -> None:
        import select

        with os.fdopen(read_end, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                if number[0] in _SIGNALS and signal.getsignal(number[0]) in (self._raise, _leave):
                    # Until the end of the command, or another signal.
                    ended, _, _ = select.select([numbers], [], [], _GRACE_SECONDS)
                    if not ended or numbers.read(1):
                        _leave(number[0])


def _listen(handler: signal.Handlers | signal._HANDLER) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def end_process(code: int, message: bytes = b"") -> None:
    """End the process without waiting for its threads, and remove its unfinished files.

    Where another thread is at that already, this one goes on until the other is done.

    Args:
        code: The exit code.
        message: What then goes to standard error.
    """
    if not _leaving.acquire(blocking=False):
        return
    atomic = sys.modules.get("dvmsr.atomic")
    if atomic is not None:
        atomic.remove_unfinished()
        # Another thread may just have been about to open one by its name, as encoders do.
        time.sleep(_SECONDS_TO_OPEN)
        atomic.remove_unfinished()
    if message:
        try:  # noqa: SIM105 - what suppresses takes milliseconds to import
            os.write(2, message)
        except OSError:
            pass
    os._exit(code)


def _leave(number: int, frame: FrameType | None = None) -> None:  # noqa: ARG001 - Python's signature
    end_process(exit_code(number), b"dvmsr: interrupted\n" if number == signal.SIGINT else b"")


def _forget_the_parents_watch() -> None:
    signal.set_wakeup_fd(-1)
