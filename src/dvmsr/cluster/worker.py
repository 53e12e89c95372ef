"""What runs on the machines of a cluster: one image, by a process that keeps the network."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvmsr.batch.events import Done, Failed
from dvmsr.batch.finished import is_finished
from dvmsr.batch.one import do_task
from dvmsr.batch.plan import FileTask
from dvmsr.errors import DvmsrError
from dvmsr.inference.files import FileOptions, UpscaledFile
from dvmsr.inference.upscaler import Upscaler

if TYPE_CHECKING:
    import ray

    from dvmsr.weights import Weights

ALREADY = "done by a machine that ended before it could tell"
"""The note of an image whose result was there when another machine got to it."""


@dataclass(frozen=True)
class Network:
    """The network of a run; what is not told here is told at ``Upscaler``."""

    name: str
    """Tells it from those of other runs."""

    weights: ray.ObjectRef[Weights] | None
    """Fetched once by each process; None: a network that comes with the package."""

    model: str
    strength: float
    threads: int
    precision: str


@dataclass(frozen=True)
class Work:
    """All that the images of a run have in common."""

    network: Network
    options: FileOptions
    hashes: bool
    """Whether the SHA-256 of the files are taken."""


# Of this process: one, so that a process that serves run after run does not grow.
_loaded: tuple[str, Upscaler] | None = None


def enlarge(work: Work, task: FileTask) -> Done | Failed:
    """Enlarge an image, unless a machine that died has done it already.

    Args:
        work: How.
        task: The image; its paths hold on every machine.

    Returns:
        What became of it.
    """
    event = _left_behind(work, task)
    if event is None:
        event = do_task(_upscaler(work.network), task, work.options, hashes=work.hashes)
        if isinstance(event, Failed):
            # A machine that was only thought to be dead may have done it meanwhile.
            done = _left_behind(work, task)
            event = done if isinstance(done, Done) else event
    return _portable(event)


def _upscaler(network: Network) -> Upscaler:
    global _loaded
    if _loaded is None or _loaded[0] != network.name:
        _loaded = network.name, _load(network)
    return _loaded[1]


def _load(network: Network) -> Upscaler:
    if network.weights is None:
        return Upscaler(
            None,
            "cpu",
            network.threads,
            network.precision,
            model=network.model,
            strength=network.strength,
        )
    import ray

    return Upscaler(ray.get(network.weights), "cpu", network.threads, network.precision)


def _left_behind(work: Work, task: FileTask) -> Done | Failed | None:
    """Look for what this task has left when it was done before: then the plan knew of no such target."""
    if work.options.overwrite:
        return None
    try:
        if not is_finished(task):
            return None
    except (DvmsrError, OSError) as error:
        return Failed(task, error)
    # Its pictures are not counted again.
    file = UpscaledFile(
        source=task.source,
        target=task.target,
        width=task.width,
        height=task.height,
        target_width=task.target_width,
        target_height=task.target_height,
        pixels=task.work,
        pictures=1,
        seconds=0.0,
        notes=(ALREADY,),
    )
    return Done(task, file)


def _portable(event: Done | Failed) -> Done | Failed:
    """Let errors be read elsewhere: some cannot be made again of what they are pickled as."""
    if isinstance(event, Done):
        return event
    try:
        pickle.loads(pickle.dumps(event.error))
    except Exception:
        return Failed(event.task, DvmsrError(str(event.error)))
    return event
