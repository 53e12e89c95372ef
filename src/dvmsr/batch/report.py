"""What became of every file, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dvmsr.batch.events import Done, Failed
from dvmsr.batch.naming import keys
from dvmsr.batch.plan import BatchPlan, FileTask, Finished
from dvmsr.batch.sources import Failure, PassedOver
from dvmsr.batch.urls import is_a_upath
from dvmsr.errors import ArgumentError
from dvmsr.inference.files import UpscaledFile
from dvmsr.reports import check_report, write_report


@dataclass
class BatchReport:
    """What became of every file of a run."""

    enlarged: list[Done] = field(default_factory=list)
    """What was done, in the order in which it was."""

    finished: list[Finished] = field(default_factory=list)
    """What an earlier run had done already."""

    passed_over: list[PassedOver] = field(default_factory=list)
    """What was found and not taken, and why."""

    failed: list[Failure] = field(default_factory=list)
    """What could not be done, and why."""

    # As keys: of a million, a list would be searched a million times.
    _left: dict[FileTask, None] = field(default_factory=dict)

    @classmethod
    def of_plan(cls, plan: BatchPlan) -> BatchReport:
        """Return the report of a run that has yet to begin."""
        return cls(
            [], list(plan.finished), list(plan.passed_over), list(plan.failed), dict.fromkeys(plan.tasks)
        )

    @property
    def left(self) -> list[FileTask]:
        """What the run was stopped before."""
        return list(self._left)

    @property
    def files(self) -> list[UpscaledFile]:
        """The files that were enlarged."""
        return [done.file for done in self.enlarged]

    def add(self, event: Done | Failed) -> None:
        """Take in that a task has ended."""
        del self._left[event.task]
        if isinstance(event, Done):
            self.enlarged.append(event)
        else:
            self.failed.append(event.failure)

    def as_json(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers, an entry for each file.

        Args:
            settings: What the run was asked for.
        """
        entries: list[dict[str, Any]] = []
        for done in self.enlarged:
            entry = _strings(asdict(done.file))
            hashes = {"source_sha256": done.source_sha256, "target_sha256": done.target_sha256}
            entries.append({"status": "enlarged", **entry, **{k: v for k, v in hashes.items() if v}})
        entries += [{"status": "finished before", **_strings(asdict(entry))} for entry in self.finished]
        entries += [{"status": "left", **_strings(asdict(entry))} for entry in self.left]
        for failure in self.failed:
            entries.append({"status": "failed", "source": str(failure.path), "error": failure.message})
        for passed in self.passed_over:
            entries.append({"status": "passed over", "source": str(passed.path), "reason": passed.reason})
        counts = {
            "enlarged": len(self.enlarged),
            "finished before": len(self.finished),
            "failed": len(self.failed),
            "passed over": len(self.passed_over),
            "left": len(self._left),
        }
        return {"settings": dict(settings or {}), "counts": counts, "files": entries}

    def write(self, path: Path, settings: Mapping[str, Any] | None = None) -> None:
        """Write :meth:`as_json` into a file, which appears whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        write_report(path, self.as_json(settings))


def check_report_file(path: Path, plan: BatchPlan) -> None:
    """Find out before the work whether a report may be written.

    Args:
        path: The file to write. Only a report of an earlier run is replaced.
        plan: What is to be done.

    Raises:
        ArgumentError: It exists and is no report, is one of the results, or cannot be written there.
    """
    if not keys(path).isdisjoint(key for task in plan.tasks for key in keys(task.target)):
        raise ArgumentError(f"{path}: is one of the results; choose another name for the report")
    counts = BatchReport().as_json()["counts"].keys()
    check_report(path, lambda content: content["counts"].keys() == counts)


def _strings(entry: dict[str, Any]) -> dict[str, Any]:
    """Give paths, and URLs with a path's face, as strings."""
    return {
        name: str(value) if isinstance(value, Path) or is_a_upath(value) else value
        for name, value in entry.items()
    }
