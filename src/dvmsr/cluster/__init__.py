"""Many machines: the tasks of a plan on a Ray cluster. Needs ``dvmsr[cluster]``.

:func:`run_tasks_on_ray` does what :func:`dvmsr.batch.run_tasks` does, elsewhere.
"""

from dvmsr.errors import MissingExtraError

try:
    from dvmsr.cluster.driver import ClusterSettings, ClusterSize, run_tasks_on_ray
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise
    raise MissingExtraError("ray", "cluster", "--ray") from error

__all__ = ["ClusterSettings", "ClusterSize", "run_tasks_on_ray"]
