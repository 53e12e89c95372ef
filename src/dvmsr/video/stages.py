"""Three stages that work at the same time, with a bounded number of things between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Source = TypeVar("Source")
Result = TypeVar("Result")

_END = object()
# How soon a stage that waits notices that another has failed.
_SECONDS_BETWEEN_LOOKS = 0.1


class _Stopped(Exception):  # noqa: N818 - no error, the end of a thread
    """Another stage has failed, or nobody wants the result any more."""


class _Between:
    """A queue whose two ends can be told to give up."""

    def __init__(self, ahead: int, stop: Event) -> None:
        self._queue: Queue[Any] = Queue(ahead)
        self._stop = stop

    def put(self, item: Any) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_SECONDS_BETWEEN_LOOKS)
                return
            except Full:
                continue
        raise _Stopped

    def items(self) -> Iterator[Any]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except Empty:
                continue
            if item is _END:
                return
            yield item
        raise _Stopped


def in_stages(
    first: Iterable[Source],
    middle: Callable[[Source], Result],
    last: Callable[[Iterator[Result]], None],
    *,
    ahead: int = 2,
) -> None:
    """Run three stages: the first and the last in threads, the middle one here.

    Args:
        first: Gives what the middle stage takes.
        middle: Makes a result of each, in their order.
        last: Takes the results.
        ahead: How many things wait before the middle stage, and behind it, at most.

    Raises:
        BaseException: What a stage has raised first; the others have ended then.
    """
    stop = Event()
    failures: list[BaseException] = []
    before, behind = _Between(ahead, stop), _Between(ahead, stop)

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except _Stopped:
                pass
            except BaseException as error:
                failures.append(error)
                stop.set()

        return run

    def give() -> None:
        for item in first:
            before.put(item)
        before.put(_END)

    threads = [
        Thread(target=guarded(give), name="dvmsr-decode", daemon=True),
        Thread(target=guarded(lambda: last(behind.items())), name="dvmsr-encode", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        for item in before.items():
            behind.put(middle(item))
        behind.put(_END)
        threads[1].join()
    except _Stopped:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
