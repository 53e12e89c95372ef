"""The table of ``dvmsr upscale --profile``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from dvmsr.engine import Profile


def print_profile(profile: Profile) -> None:
    """Show each stage's time beside the floor, and their sums; see docs/performance.md."""
    table = Table(title=_title(profile), title_justify="left")
    table.add_column("stage")
    for heading in ("MFLOP/pixel", "bytes/pixel", "floor ms", "measured ms", "% of floor"):
        table.add_column(heading, justify="right")

    def add(name: str, flop: float, moved: float, floor: float, seconds: float) -> None:
        cells = (flop / 1e6, 4), (moved, 0), (1e3 * floor, 1), (1e3 * seconds, 1), (100 * floor / seconds, 0)
        table.add_row(name, *(f"{value:.{digits}f}" for value, digits in cells))

    stages = profile.stages
    for stage in stages:
        add(stage.name, stage.work.flop, stage.work.bytes, stage.floor_seconds, stage.seconds)
    table.add_section()
    flop, moved = sum(stage.work.flop for stage in stages), sum(stage.work.bytes for stage in stages)
    add("all", flop, moved, profile.floor_seconds, profile.busy_seconds)
    Console().print(table)


def _title(profile: Profile) -> str:
    wide = ""
    if profile.precision != "fp32":
        wide = f", {profile.peak_wide_flops / 1e9:.0f} GFLOP/s in {profile.precision}"
    return (
        f"{profile.pixels} pixels in {1e3 * profile.seconds:.0f} ms, {profile.threads} threads,"
        f" {profile.precision}\n"
        f"of one core: {profile.peak_flops / 1e9:.0f} GFLOP/s{wide}, {profile.peak_bytes / 1e9:.0f} GB/s"
    )
