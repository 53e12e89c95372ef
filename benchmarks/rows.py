"""The rows that ``inference.py`` writes, and how the table and the plot choose among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from networks import Case

RESULT = Path(__file__).parent / "results" / "inference.json"


@dataclass(frozen=True)
class Row(Case):
    """What one case measured. Its names are those of the JSON file."""

    repeats: int
    """Timed runs."""

    seconds: float
    """Their median."""

    base_mib: float
    """Peak memory of its process before it ran: the libraries, the weights, the image, compiling."""

    peak_mib: float
    """Peak memory of its process: with PyTorch, compiling included."""

    @property
    def megapixels(self) -> float:
        """Millions of pixels of the LR image."""
        return self.height * self.width / 1e6


def read_report(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return the facts of a result, and its rows."""
    report = json.loads(path.read_text())
    return report, [Row(**row) for row in report.pop("rows")]


def fastest(rows: Sequence[Row], **fields: object) -> Row | None:
    """Return the row of the least seconds among those whose fields have these values; None: there is none."""
    found = [row for row in rows if all(getattr(row, name) == value for name, value in fields.items())]
    return min(found, key=lambda row: row.seconds, default=None)
