"""Doing the tasks: small images several at a time, large ones with all threads each."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from dvmsr.batch.events import Done, Failed, Progress, TaskEvent
from dvmsr.batch.one import do_task
from dvmsr.batch.plan import FileTask
from dvmsr.inference.files import FileOptions

if TYPE_CHECKING:
    from dvmsr.inference.upscaler import Upscaler

SMALL_PIXELS = 1 << 20
"""Up to so many pixels an image is one of several that are done at a time, each by one thread: nobody waits
for another thread then, and codecs and network overlap. Larger ones would take memory for each."""


class _Stopped(Exception):  # noqa: N818 - as KeyboardInterrupt, no error
    """Somebody wants the work to end."""


class _Worker:
    """Does one task at a time, and tells into a queue."""

    def __init__(
        self, upscaler: Upscaler, options: FileOptions, *, profile: bool, hashes: bool, stop: Event
    ) -> None:
        self._upscaler = upscaler
        self._options = options
        self._profile = profile
        self._hashes = hashes
        self._stop = stop

    def do(self, task: FileTask, events: SimpleQueue[TaskEvent | BaseException]) -> None:
        def tell(finished: int, total: int) -> None:
            if self._stop.is_set():
                raise _Stopped
            # Of several pages the total is more than the task tells.
            events.put(Progress(task, task.work * finished // max(total, 1)))

        try:
            events.put(
                do_task(
                    self._upscaler,
                    task,
                    self._options,
                    progress=tell,
                    profile=self._profile,
                    hashes=self._hashes,
                )
            )
        except BaseException as error:
            events.put(error)


def run_tasks(
    upscaler: Upscaler,
    tasks: Sequence[FileTask],
    options: FileOptions,
    *,
    profile: bool = False,
    hashes: bool = False,
    late: list[Done | Failed] | None = None,
) -> Generator[TaskEvent, None, None]:
    """Enlarge image files. What fails is told, and the others are done.

    On a CPU as many small images as the upscaler has threads are done at a time, then large ones one after
    the other. The pixels do not depend on it. When the iterator is closed or an exception, Ctrl-C's too,
    comes through it, the work stops after the rows at hand and leaves nothing half.

    Args:
        upscaler: The network.
        tasks: The files, in any order.
        options: How they are enlarged.
        profile: Whether to count where the engine's time goes; then the images are done one at a time.
        hashes: Whether to take the SHA-256 of the files.
        late: Takes what still ended while the work was being stopped.

    Yields:
        What happens, as it happens. For each task one ``Done`` or ``Failed`` in the end.
    """
    small, large = ([], tasks) if profile else part_by_size(upscaler, tasks)
    stop = Event()
    for group, at_once in ((small, min(upscaler.threads, len(small))), (large, 1)):
        if not group:
            continue
        threads = max(1, upscaler.threads // at_once)
        worker = _Worker(upscaler.with_threads(threads), options, profile=profile, hashes=hashes, stop=stop)
        events: SimpleQueue[TaskEvent | BaseException] = SimpleQueue()
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="dvmsr-image")
        try:
            for task in group:
                pool.submit(worker.do, task, events)
            left = len(group)
            while left:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                left -= not isinstance(event, Progress)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            while not events.empty():
                unseen = events.get()
                if late is not None and isinstance(unseen, (Done, Failed)):
                    late.append(unseen)
        stop.clear()


def part_by_size(
    upscaler: Upscaler, tasks: Sequence[FileTask]
) -> tuple[Sequence[FileTask], Sequence[FileTask]]:
    """Part the images that are done several at a time from those that are done one after the other."""
    if not upscaler.is_native:
        return [], tasks
    small = [task for task in tasks if task.width * task.height <= SMALL_PIXELS]
    return small, [task for task in tasks if task.width * task.height > SMALL_PIXELS]
