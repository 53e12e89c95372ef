"""What happens to a task, as plain data that can come from another thread, process or machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvmsr.batch.plan import FileTask
from dvmsr.batch.sources import Failure
from dvmsr.errors import DvmsrError
from dvmsr.inference.files import UpscaledFile

if TYPE_CHECKING:
    from dvmsr.engine import Profile


@dataclass(frozen=True)
class Progress:
    """A task has come further."""

    task: FileTask
    finished: int
    """How much of ``task.work`` is done."""


@dataclass(frozen=True)
class Done:
    """A task is done."""

    task: FileTask
    file: UpscaledFile
    profile: Profile | None = None
    """Where the engine's time went, where that was asked for."""

    source_sha256: str | None = None
    target_sha256: str | None = None


@dataclass(frozen=True)
class Failed:
    """A task could not be done; nothing of it is left."""

    task: FileTask
    error: DvmsrError | OSError

    @property
    def failure(self) -> Failure:
        """What to tell."""
        return Failure.of(self.task.source, self.error)


TaskEvent = Progress | Done | Failed
