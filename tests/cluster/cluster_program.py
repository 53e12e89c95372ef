"""Begin a cluster of one node with two processors, print its address, and end it when standard input ends.

Run in a process of its own by test_command.py: Ray leaves threads and children behind in a process.
"""

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(
    initialize_head=True,
    head_node_args={"num_cpus": 2, "object_store_memory": 80 << 20, "include_dashboard": False},
)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
