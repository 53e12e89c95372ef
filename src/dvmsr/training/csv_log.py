"""The log as a CSV file that a resumed run continues."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from dvmsr.atomic import write_atomically


class CsvLog(Logger):
    """One row for each step that something is logged of.

    Lightning's own writes a new file for each start of a run.

    Args:
        path: The file.
        columns: Names of all metrics to come.
        first: The step that the run goes on from; rows of later ones are taken out.
    """

    def __init__(self, path: Path, columns: Sequence[str], first: int) -> None:
        super().__init__()
        self._path = path
        self._columns = ["step", *columns]
        self._first = first
        self._rows: dict[int, dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """Name of the log."""
        return "csv"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Leave them out: the run's folder holds its configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of a step, and write the file anew.

        Raises:
            OSError: The file cannot be written.
        """
        if step is None:
            return
        if self._rows is None:
            self._rows = self._read()
        row = self._rows.setdefault(step, {"step": step})
        row |= {name: float(f"{metrics[name]:.6g}") for name in self._columns[1:] if name in metrics}
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self._rows.values())
        with write_atomically(self._path) as file:
            file.write(text.getvalue().encode())

    def _read(self) -> dict[int, dict[str, Any]]:
        if not self._first or not self._path.exists():
            return {}
        with self._path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        # A set that is scored no more keeps its column.
        self._columns += [name for name in (rows[0] if rows else ()) if name not in self._columns]
        return {int(row["step"]): dict(row) for row in rows if int(row["step"]) <= self._first}
