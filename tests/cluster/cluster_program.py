"""Begin a cluster of two nodes, print its address, and end it when standard input ends.

Run in a process of its own by test_command.py: Ray leaves threads and children behind in a process.
"""

import sys

from starting import start_cluster

cluster, _ = start_cluster(2)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
