"""Enlarge a folder on three nodes of one processor each, kill one while it works, and print what came of it.

Run in a process of its own by test_killed_node.py: Ray leaves threads and children behind in a process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import ray
from starting import start_cluster

from dvmsr.batch import BatchReport, plan_files
from dvmsr.cluster import ClusterSettings, run_tasks_on_ray
from dvmsr.inference.files import FileOptions
from dvmsr.weights import load_weights


def works(node) -> bool:
    """Whether a node's worker is at an image: Ray names its process after the task then."""
    (raylet,) = node.all_processes["raylet"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet.process.pid and (process / "cmdline").read_bytes().startswith(b"ray::dvmsr"):
                return True
        except (OSError, ValueError):
            continue
    return False


def main(folder: str, results: str) -> None:
    cluster, nodes = start_cluster(3)
    ray.init(address=cluster.address, log_to_driver=False)
    loaded = load_weights()
    plan = plan_files([folder], Path(results), scale=loaded.config.scale, options=FileOptions())
    report = BatchReport.of_plan(plan)
    events = Counter()
    sizes = []
    killed_after = raylet = None
    settings = ClusterSettings("auto", loaded)
    for event in run_tasks_on_ray(settings, plan.tasks, FileOptions(), on_cluster=sizes.append):
        report.add(event)
        events[event.task.source.name] += 1
        if killed_after is None and len(events) >= len(plan.tasks) // 3:
            busy = next((node for node in nodes if works(node)), None)
            if busy is not None:
                killed_after = len(events)
                (raylet,) = (info.process for info in busy.all_processes["raylet"])
                # All its processes, by SIGKILL.
                cluster.remove_node(busy, allow_graceful=False)
    ray.shutdown()
    cluster.shutdown()
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
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
