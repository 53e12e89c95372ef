"""Handing the tasks of a plan to a Ray cluster, a few for each processor at a time.

Each image is one Ray task. Nothing finer: the network scans an image from its first pixel to its last, so a
part of an image cannot begin before the parts above it are done. Ray does a task again on another machine
where a worker or machine dies, and places tasks on machines that join. Results appear whole or not at all, as
everywhere (``dvmsr.atomic``, ``dvmsr.batch.urls``).
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Before Ray is imported: whoever enlarges images has not agreed to be counted.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# What Ray 2.60 warns of otherwise, once for each start; there are no GPUs in question here.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from dvmsr.atomic import remove_abandoned
from dvmsr.batch.events import Done, Failed
from dvmsr.batch.one import renamed
from dvmsr.batch.plan import FileTask
from dvmsr.batch.urls import is_url
from dvmsr.cluster.worker import Network, Work, enlarge
from dvmsr.errors import ArgumentError, DvmsrError
from dvmsr.inference.files import FileOptions
from dvmsr.weights import Weights

# How often an image is begun anew when its machine dies: some of its own accord kill the process they are in.
_RETRIES = 5
# Tasks under way for each that can run: the next one's data are there when the last one ends.
_AHEAD = 2
# How long a wait for a result lasts before it is looked whether machines have joined.
_SECONDS_BETWEEN_LOOKS = 5.0
# How long a cluster gets to answer.
_SECONDS_FOR_AN_ANSWER = 10.0
# How long tasks that are cancelled get to remove what is half done.
_SECONDS_TO_TIDY_UP = 2.0


# How a client of HTTP/2 begins, with a frame of settings that sets nothing. gRPC, by which Ray talks, answers
# with a frame of settings, and a server of HTTP/1 or of anything else does not.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

_ADDRESS = re.compile(r"(?:ray://)?(?P<host>[\w.-]+|\[[\w.:]+\]):(?P<port>\d+)")


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster, and the network that it gets.

    Raises:
        ArgumentError: The address is none.
    """

    address: str
    """``HOST:PORT``, ``ray://HOST:PORT``, "local" for this machine alone, or "auto" for the cluster that
    RAY_ADDRESS names or this machine belongs to."""

    weights: Weights | None = None
    """The network; None: the one that comes with the package which ``model`` and ``strength`` name."""

    threads: int = 1
    """Processors for each image; one each does the most images."""

    precision: str = "fp32"
    """What to compute in; see ``Upscaler``."""

    model: str = "clean"
    """See ``Upscaler``."""

    strength: float = 1.0
    """See ``Upscaler``."""

    def __post_init__(self) -> None:
        if self.address not in ("auto", "local") and _ADDRESS.fullmatch(self.address) is None:
            raise ArgumentError(f"expected HOST:PORT, ray://HOST:PORT, local or auto, got {self.address!r}")

    def check_answer(self) -> None:
        """Find out in seconds whether a cluster answers at the address; Ray tries for a minute and more.

        Raises:
            ArgumentError: Nobody does, or something other than Ray.
        """
        address, name = self.address, f"--ray {self.address}"
        if address == "auto" and (elsewhere := os.environ.get("RAY_ADDRESS")):
            address, name = elsewhere, f"RAY_ADDRESS={elsewhere}"
        place = _ADDRESS.fullmatch(address)
        if place is None:
            return
        try:
            host, port = place["host"].strip("[]"), int(place["port"])
            with socket.create_connection((host, port), _SECONDS_FOR_AN_ANSWER) as connection:
                # Under TLS, nothing is said before certificates are shown.
                if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
                    connection.sendall(_GREETING)
                    if connection.recv(9)[3:4] != b"\4":
                        raise ConnectionError("what listens is not Ray")
        except (OSError, ValueError, OverflowError) as error:
            raise ArgumentError(
                f"{name}: no cluster answers there ({error}); begin one with ray start --head"
            ) from error


@dataclass(frozen=True)
class ClusterSize:
    """What a cluster has."""

    nodes: int
    """Machines."""

    processors: int
    """Processors of all machines."""


def run_tasks_on_ray(
    settings: ClusterSettings,
    tasks: Sequence[FileTask],
    options: FileOptions,
    *,
    hashes: bool = False,
    late: list[Done | Failed] | None = None,
    on_cluster: Callable[[ClusterSize], object] | None = None,
) -> Generator[Done | Failed, None, None]:
    """Enlarge image files on a cluster; see :func:`dvmsr.batch.run_tasks`.

    The files must be reachable by the same names from every machine: a shared folder, or URLs. On every
    machine must be the same dvmsr. No more than a few tasks for each processor are under way, however many
    there are.

    Args:
        settings: The cluster and the network.
        tasks: The files, in any order.
        options: How they are enlarged.
        hashes: Whether to take the SHA-256 of the files.
        late: Takes what still ended while the work was being stopped.
        on_cluster: Called with the cluster's size before the work.

    Yields:
        For each task one ``Done`` or ``Failed``, as they end.

    Raises:
        ArgumentError: There is no such cluster, or no machine of it has as many processors.
    """
    if not tasks:
        return
    folders = {task.target.parent for task in tasks if not is_url(task.target)}
    with _tidied_up(folders), _connected(settings):
        size = _cluster_size(settings.threads)
        if on_cluster is not None:
            on_cluster(size)
        network = Network(
            uuid.uuid4().hex,
            None if settings.weights is None else ray.put(settings.weights),
            settings.model,
            settings.strength,
            settings.threads,
            settings.precision,
        )
        work = Work(network, options, hashes)
        run = _Run(work, settings.threads)
        try:
            yield from run.go(tasks)
        finally:
            run.stop(late)


@contextmanager
def _tidied_up(folders: Collection[Path]) -> Iterator[None]:
    """Remove in the end what is half done of machines that died, and of tasks that Ray ends with the run.

    Ray may call a task cancelled that begins at that moment, and kills it when nobody is connected any more.
    """
    try:
        yield
    finally:
        deadline = time.monotonic() + _SECONDS_TO_TIDY_UP
        # All of them each time, so no any().
        while sum(map(remove_abandoned, folders)) and time.monotonic() < deadline:
            time.sleep(0.1)


class _Run:
    def __init__(self, work: Work, threads: int) -> None:
        self._work = work
        self._threads = threads
        self._remote: Any = ray.remote(enlarge).options(
            num_cpus=threads, max_retries=_RETRIES, name="dvmsr", retry_exceptions=False
        )
        self._under_way: dict[Any, FileTask] = {}
        self._most = 0
        self._next_look = 0.0

    def go(self, tasks: Sequence[FileTask]) -> Iterator[Done | Failed]:
        waiting = iter(tasks)
        more = True
        while more or self._under_way:
            room = self._most_under_way() - len(self._under_way)
            while more and room > 0:
                task = next(waiting, None)
                if task is None:
                    more = False
                    break
                self._under_way[self._remote.remote(self._work, _absolute(task))] = task
                room -= 1
            if not self._under_way:
                return
            ready, _ = ray.wait(list(self._under_way), timeout=_SECONDS_BETWEEN_LOOKS)
            for ref in ready:
                yield self._result(ref)

    def stop(self, late: list[Done | Failed] | None) -> None:
        """End what is under way, and let it tidy up."""
        if not self._under_way or not ray.is_initialized():
            return
        for ref in self._under_way:
            ray.cancel(ref)
        ended, _ = ray.wait(
            list(self._under_way), num_returns=len(self._under_way), timeout=_SECONDS_TO_TIDY_UP
        )
        for ref in ended:
            try:
                event = self._result(ref)
            except RayError:
                continue
            if late is not None and isinstance(event, Done):
                late.append(event)

    def _most_under_way(self) -> int:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _SECONDS_BETWEEN_LOOKS
            self._most = _AHEAD * max(1, sum(count // self._threads for count in _processors()))
        return self._most

    def _result(self, ref: Any) -> Done | Failed:
        task = self._under_way.pop(ref)
        try:
            event: Done | Failed = ray.get(ref)
        except (TaskCancelledError, RayTaskError):
            # The latter is a fault in the program: told as it is.
            raise
        except RayError as error:
            reason = str(error).partition("\n")[0]
            died = f"{task.source}: its worker died, and so did {_RETRIES} others after it: {reason}"
            return Failed(task, DvmsrError(died))
        return _as_named(event, task)


@contextmanager
def _connected(settings: ClusterSettings) -> Iterator[None]:
    if ray.is_initialized():
        # Whoever has connected this process keeps the connection.
        yield
        return
    settings.check_answer()
    address = settings.address
    try:
        ray.init(
            # Without one, Ray takes the cluster that this machine belongs to, or begins one of it.
            address=None if address == "auto" else address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    except Exception as error:
        # Ray raises one of no kind where a machine is too busy to begin.
        reason = str(error).partition("\n")[0]
        raise ArgumentError(f"--ray {address}: cannot be reached or begun: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _cluster_size(threads: int) -> ClusterSize:
    processors = _processors()
    if max(processors, default=0) < threads:
        raise ArgumentError(
            f"expected a machine with {threads} processors for each image, the cluster's have up to "
            f"{max(processors, default=0)}: lower --threads"
        )
    return ClusterSize(sum(count > 0 for count in processors), sum(processors))


def _processors() -> list[int]:
    """Return how many processors each machine gives."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]


def _as_named(event: Done | Failed, task: FileTask) -> Done | Failed:
    """Return an event with the names that this process knows the files by."""
    if isinstance(event, Done):
        comparison = event.file.comparison
        file = replace(
            event.file,
            source=task.source,
            target=task.target,
            comparison=None if comparison is None else task.target.with_name(comparison.name),
        )
        return replace(event, task=task, file=file)
    error = event.error
    if isinstance(error, DvmsrError):
        error = renamed(error, {event.task.source: task.source, event.task.target: task.target})
    return Failed(task, error)


def _absolute(task: FileTask) -> FileTask:
    """Return the task as other machines, whose processes work in other folders, can do it."""
    source, target = (path if is_url(path) else Path(path).absolute() for path in (task.source, task.target))
    return replace(task, source=source, target=target)
