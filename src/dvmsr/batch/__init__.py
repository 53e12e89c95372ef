"""Many image files: what is to be done, skipped, named and reported.

The command line, and whoever else enlarges more than one file, goes through this room. Its three steps are
apart: :func:`plan_files` decides, :func:`run_tasks` does, :class:`BatchReport` tells. What passes between
them is plain data, so that another process or machine may do any of them.
"""

from dvmsr.batch.events import Done, Failed, Progress
from dvmsr.batch.files import upscale_files
from dvmsr.batch.forecast import Forecast, foretell, leave_out_what_cannot_fit
from dvmsr.batch.plan import BatchPlan, FileTask, Finished, plan_files
from dvmsr.batch.report import BatchReport
from dvmsr.batch.run import run_tasks
from dvmsr.batch.sources import Failure, PassedOver

__all__ = [
    "BatchPlan",
    "BatchReport",
    "Done",
    "Failed",
    "Failure",
    "FileTask",
    "Finished",
    "Forecast",
    "PassedOver",
    "Progress",
    "foretell",
    "leave_out_what_cannot_fit",
    "plan_files",
    "run_tasks",
    "upscale_files",
]
