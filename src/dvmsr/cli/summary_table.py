"""The table at the end of a run. Apart from the lines elsewhere, as its library takes long to import."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from dvmsr.batch import BatchReport
from dvmsr.cli.quantities import duration, megapixels


def print_table(report: BatchReport, seconds: float) -> None:
    """Show how many files became what, their pixels and the time."""
    table = Table(title=f"{duration(seconds)} in all", title_justify="left")
    table.add_column("images")
    for heading in ("count", "pixels read", "pixels written"):
        table.add_column(heading, justify="right")
    files = report.files
    table.add_row(
        "enlarged",
        str(len(files)),
        megapixels(sum(file.width * file.height for file in files)),
        megapixels(sum(file.target_width * file.target_height for file in files)),
    )
    others = (
        ("with notes", sum(bool(file.notes) for file in files)),
        ("finished before", len(report.finished)),
        ("passed over", len(report.passed_over)),
        ("failed", len(report.failed)),
        ("left", len(report.left)),
    )
    for name, count in others:
        if count:
            table.add_row(name, str(count), "", "")
    Console().print(table)
