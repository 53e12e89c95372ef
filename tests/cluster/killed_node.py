"""Enlarge a folder on three nodes of one processor each, kill one while it works, and print what came of it.

Run in a process of its own by test_killed_node.py: Ray leaves threads and children behind in a process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from dvmsr.batch import BatchReport, Done, plan_files
from dvmsr.cluster import ClusterSettings, run_tasks_on_ray
from dvmsr.inference.files import FileOptions
from dvmsr.weights import load_weights

# So that the death of a node shows within seconds on a busy machine.
SYSTEM = {"health_check_period_ms": 1000, "health_check_failure_threshold": 10, "health_check_initial_delay_ms": 5000}


def main(folder: str, results: str, weights: str) -> None:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20, "_system_config": SYSTEM},
    )
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(3)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    loaded = load_weights(weights)
    plan = plan_files([folder], Path(results), scale=loaded.config.scale, options=FileOptions())
    report = BatchReport.of_plan(plan)
    events = Counter()
    sizes = []
    killed_after = None
    settings = ClusterSettings("auto", loaded)
    for event in run_tasks_on_ray(settings, plan.tasks, FileOptions(), hashes=True, on_cluster=sizes.append):
        report.add(event)
        events[event.task.source.name] += 1
        if len(events) == len(plan.tasks) // 3 and killed_after is None:
            killed_after = len(events)
            # Its processes end at once (SIGKILL), in the middle of an image: two wait for each processor.
            cluster.remove_node(nodes[1], allow_graceful=False)
    alive = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
    ray.shutdown()
    cluster.shutdown()
    told = {
        "nodes": sizes[0].nodes,
        "processors": sizes[0].processors,
        "alive": alive,
        "killed_after": killed_after,
        "tasks": len(plan.tasks),
        "events": dict(events),
        "failed": [failure.message for failure in report.failed],
        "left": len(report.left),
        "sha256": {done.task.target.name: done.target_sha256 for done in report.enlarged if isinstance(done, Done)},
        "notes": [note for done in report.enlarged for note in done.file.notes],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
