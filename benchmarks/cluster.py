"""A folder on a Ray cluster of one-processor workers, against one process with one thread, in one run.

JPEG files in, PNG files out, as ``dvmsr upscale --ray`` does it. The cluster runs on this machine, a node
for each worker, and processor is compared with processor: each node, Ray's own processes included, is bound
to one, and so is the one process, whose codecs would take part of a second one. What hands out the images
runs on the first node's processor, the one process on the last node's. All are warm: every process has
loaded the network and done the folder once. Wall time and the processor time of all processes are given,
those of Ray included: on a machine that others use as well, the latter tells more. What also is measured is
what the head keeps in memory for each image of a plan and of a report.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from dvmsr import Upscaler
from dvmsr.batch import BatchReport, Done, FileTask, plan_files, run_tasks
from dvmsr.inference.files import FileOptions, UpscaledFile
from dvmsr.weights import load_weights
from folder import write_crops
from workers import add_output, load_average, measure_in_turns, print_rows, resident_bytes, write_report

RESULT = Path(__file__).parent / "results" / "cluster.json"
OPTIONS = FileOptions(overwrite=True)
PLANNED = 100_000


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it has begun, of which those live."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(process.name)
        ticks[number] = int(fields[11]) + int(fields[12])
        children.setdefault(int(fields[1]), []).append(number)
    own, waiting = 0, [os.getpid()]
    while waiting:
        number = waiting.pop()
        own += ticks.get(number, 0)
        waiting += children.get(number, [])
    return own / os.sysconf("SC_CLK_TCK")


@contextmanager
def bound_to(processor: int) -> Iterator[None]:
    """Let this thread, and the processes that it begins, run on one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class OneProcess:
    """A process with one thread, bound to a processor, which does all tasks each time that it is called.

    Args:
        processor: Its number.
        tasks: The images.
    """

    def __init__(self, processor: int, tasks: Sequence[FileTask]) -> None:
        context = multiprocessing.get_context("spawn")
        self._calls, its_end = context.Pipe()
        with bound_to(processor):
            context.Process(target=_do_when_called, args=(its_end, tasks), daemon=True).start()

    def __call__(self) -> None:
        """Do all tasks."""
        self._calls.send(None)
        self._calls.recv()


def _do_when_called(calls: Connection, tasks: Sequence[FileTask]) -> None:
    upscaler = Upscaler(load_weights(), threads=1)
    with suppress(EOFError):  # the other end is closed: nothing more to do
        while True:
            calls.recv()
            done = sum(isinstance(event, Done) for event in run_tasks(upscaler, tasks, OPTIONS))
            assert done == len(tasks)
            calls.send(None)


def head_bytes_per_image() -> float:
    """Measure what a plan of many images and the report of a run of them take for each."""
    before = resident_bytes()
    folder = Path("/photographs/of/somebody")
    tasks = [
        FileTask(folder / f"{i:08}.jpg", folder / "x4" / f"{i:08}_x4.jpg", 640, 480, 2560, 1920, 1 << 20)
        for i in range(PLANNED)
    ]
    report = BatchReport(_left=dict.fromkeys(tasks))
    for task in tasks:
        file = UpscaledFile(task.source, task.target, 640, 480, 2560, 1920, 640 * 480, 1, 1.5)
        report.add(Done(task, replace(file)))
    return (resident_bytes() - before) / PLANNED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--side", type=int, default=128, help="rows and columns of each (default: 128)")
    parser.add_argument("--workers", type=int, default=2, help="workers of one processor (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds (default: 3)")
    add_output(parser, RESULT)
    options = parser.parse_args()

    load, head = load_average(), head_bytes_per_image()
    import ray
    from ray.cluster_utils import Cluster

    from dvmsr.cluster import ClusterSettings, run_tasks_on_ray  # sets what Ray reads when it is imported

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    available = sorted(os.sched_getaffinity(0))
    # Where there are fewer, the processor time is all that tells anything.
    processors = [available[number % len(available)] for number in range(options.workers)]
    # By itself Ray lets workers wait for everything else that runs, at a niceness of 15.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's name
    cluster = Cluster()
    for processor in processors:
        with bound_to(processor):
            cluster.add_node(**node)
    cluster.wait_for_nodes(120)
    weights = load_weights()
    with tempfile.TemporaryDirectory() as name, bound_to(processors[0]):
        ray.init(address=cluster.address, log_to_driver=False)
        folder = Path(name) / "small"
        folder.mkdir()
        write_crops(folder, options.images, options.side)
        plan = plan_files([folder], Path(name) / "large", scale=4, options=OPTIONS, suffix=".png")

        alone = OneProcess(processors[-1], plan.tasks)

        def together() -> None:
            settings = ClusterSettings("auto", weights)
            done = sum(isinstance(event, Done) for event in run_tasks_on_ray(settings, plan.tasks, OPTIONS))
            assert done == options.images

        alone()
        together()
        parts = {"one process": alone, f"{options.workers} workers": together}
        rows = measure_in_turns(parts, options.repeats, processor_seconds=processor_seconds)
    ray.shutdown()
    cluster.shutdown()

    print_rows(rows)
    many = rows[1]
    print(
        f"{1 / many['seconds_ratio']:.2f} times as fast; by processor time "
        f"{options.workers / many['processor_seconds_ratio']:.2f} times, "
        "where each worker has a processor to itself"
    )
    print(f"{head:.0f} bytes on the head for an image")
    write_report(
        options.output,
        load_before=load,
        images=options.images,
        side=options.side,
        workers=options.workers,
        processors=len(set(processors)),
        repeats=options.repeats,
        head_bytes_per_image=head,
        rows=rows,
    )


if __name__ == "__main__":
    main()
