"""A folder on a Ray cluster of one-processor workers, against one process with one thread, in one run.

JPEG files in, PNG files out, as ``dvmsr upscale --ray`` does it. The cluster runs on this machine, a node
for each worker; both are warm. Wall time and the processor time of all processes are given, those of Ray
included: on a machine that others use as well, the latter tells more. What also is measured is what the head
keeps in memory for each image of a plan and of a report.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from dvmsr import Upscaler
from dvmsr.batch import BatchReport, Done, FileTask, plan_files, run_tasks
from dvmsr.inference.files import FileOptions, UpscaledFile
from dvmsr.weights import load_weights
from folder import write_crops
from workers import load_average, measure_in_turns, print_rows, resident_bytes, write_report

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
    parser.add_argument(
        "--output", type=Path, default=RESULT, help="JSON file to write (default: %(default)s)"
    )
    options = parser.parse_args()

    load, head = load_average(), head_bytes_per_image()
    import ray
    from ray.cluster_utils import Cluster

    from dvmsr.cluster import ClusterSettings, run_tasks_on_ray  # sets what Ray reads when it is imported

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(options.workers - 1):
        cluster.add_node(**node)
    cluster.wait_for_nodes(120)
    ray.init(address=cluster.address, log_to_driver=False)
    weights = load_weights()
    upscaler = Upscaler(weights, threads=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "small"
        folder.mkdir()
        write_crops(folder, options.images, options.side)
        plan = plan_files([folder], Path(name) / "large", scale=4, options=OPTIONS, suffix=".png")

        def alone() -> None:
            assert sum(isinstance(event, Done) for event in run_tasks(upscaler, plan.tasks, OPTIONS))

        def together() -> None:
            settings = ClusterSettings("auto", weights)
            done = sum(isinstance(event, Done) for event in run_tasks_on_ray(settings, plan.tasks, OPTIONS))
            assert done == options.images

        together()
        parts = {"one process": alone, f"{options.workers} workers": together}
        rows = measure_in_turns(parts, options.repeats, processor_seconds=processor_seconds)
    ray.shutdown()
    cluster.shutdown()

    print_rows(rows)
    one, many = rows
    print(
        f"{one['seconds'] / many['seconds']:.2f} times as fast; by processor time "
        f"{options.workers * one['processor_seconds'] / many['processor_seconds']:.2f} times, "
        "where each worker has a processor to itself"
    )
    print(f"{head:.0f} bytes on the head for an image")
    write_report(
        options.output,
        load_before=load,
        images=options.images,
        side=options.side,
        workers=options.workers,
        repeats=options.repeats,
        head_bytes_per_image=head,
        rows=rows,
    )


if __name__ == "__main__":
    main()
