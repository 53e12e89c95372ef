"""Enlarge a folder on three nodes of one processor each, kill one while it works, and print what came of it.

With a number, do it so often, each time with a new node in the killed one's place. Run in a process of its
own by test_killed_node.py: Ray leaves threads and children behind in a process.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import ray
from starting import children, start_cluster, start_node

from dvmsr.batch import BatchReport, plan_files
from dvmsr.cluster import ClusterSettings, run_tasks_on_ray
from dvmsr.inference.files import FileOptions
from dvmsr.weights import load_weights


def works(node) -> bool:
    """Whether a node's worker is at an image: Ray names its process after the task then."""
    (raylet,) = node.all_processes["raylet"]
    return any(command.startswith(b"ray::dvmsr") for command in children(raylet.process.pid).values())


def main(folder: str, results: str, rounds: int = 1) -> None:
    cluster, nodes = start_cluster(3)
    ray.init(address=cluster.address, log_to_driver=False)
    for number in range(rounds):
        wait_until_nodes_are(3)
        told, killed = kill_one(cluster, nodes, folder, Path(results) / str(number))
        print(json.dumps(told), flush=True)
        if number + 1 < rounds and killed is not None:
            nodes.remove(killed)
            nodes.append(start_node(cluster))
    ray.shutdown()
    cluster.shutdown()


def wait_until_nodes_are(count: int) -> None:
    """Wait until a node that was killed counts as dead."""
    deadline = time.monotonic() + 120
    while (alive := sum(node["Alive"] for node in ray.nodes())) != count:
        if time.monotonic() > deadline:
            raise SystemExit(f"expected {count} nodes, there are {alive}")
        time.sleep(0.2)


def kill_one(cluster, nodes, folder: str, results: Path):
    """Enlarge the folder, kill a node in the middle, and return what came of it, and the node."""
    loaded = load_weights()
    plan = plan_files([folder], results, scale=loaded.config.scale, options=FileOptions())
    report = BatchReport.of_plan(plan)
    events = Counter()
    sizes = []
    killed_after = killed = raylet = None
    settings = ClusterSettings("auto", loaded)
    for event in run_tasks_on_ray(settings, plan.tasks, FileOptions(), on_cluster=sizes.append):
        report.add(event)
        events[event.task.source.name] += 1
        if killed is None and len(events) >= len(plan.tasks) // 3:
            killed = next((node for node in nodes if works(node)), None)
            if killed is not None:
                killed_after = len(events)
                (raylet,) = (info.process for info in killed.all_processes["raylet"])
                # All its processes, by SIGKILL.
                cluster.remove_node(killed, allow_graceful=False)
    told = {
        "nodes": sizes[0].nodes,
        "processors": sizes[0].processors,
        "raylet_has_ended": raylet is not None and raylet.poll() is not None,
        "killed_after": killed_after,
        "tasks": len(plan.tasks),
        "events": dict(events),
        "failed": [failure.message for failure in report.failed],
        "left": len(report.left),
        "enlarged": [done.task.target.name for done in report.enlarged],
        "notes": [note for done in report.enlarged for note in done.file.notes],
    }
    return told, killed


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
