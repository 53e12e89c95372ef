"""Beginning a real cluster on this machine, for the programs beside this file."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
# So that the death of a node shows within seconds, and a busy machine makes none of a slow one.
SYSTEM = {
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 20,
    "health_check_initial_delay_ms": 5000,
    # By itself Ray lets them wait for everything else, at a niceness of 15.
    "worker_niceness": 0,
}
ATTEMPTS = 10


def start_cluster(nodes: int) -> tuple[Cluster, list]:
    """Begin a cluster of nodes of one processor each; return it and those that are not its head."""
    cluster = _patiently(
        lambda: Cluster(initialize_head=True, head_node_args={"_system_config": SYSTEM, **NODE})
    )
    return cluster, [start_node(cluster) for _ in range(nodes - 1)]


def start_node(cluster: Cluster):
    """Add a node of one processor to a cluster, and return it."""
    return _patiently(lambda: cluster.add_node(**NODE))


def children(parent: int) -> dict[int, bytes]:
    """Return the processes that a process has begun, with their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(process.name)] = (process / "cmdline").read_bytes()
    return found


def _patiently(begin):
    """Try again: Ray gives a node's agents 15 seconds to begin, which on a busy machine they may miss."""
    for _ in range(ATTEMPTS - 1):
        before = children(os.getpid())
        try:
            return begin()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
        for process in children(os.getpid()).keys() - before.keys():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    return begin()
