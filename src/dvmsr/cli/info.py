"""``dvmsr info``: the network, what it costs, and the machine."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.options import Debug, Residual, Threads, Weights, says_yes
from dvmsr.errors import ArgumentError

if TYPE_CHECKING:
    from dvmsr.weights import Weights as LoadedWeights


def info(
    weights: Weights = None,
    residual: Residual = None,
    size: Annotated[
        str,
        typer.Option(metavar="HxW", help="Rows and columns of the input image that MACs are counted for."),
    ] = "256x256",
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Show what challenges on efficient super-resolution print, beside RLFN, their baseline: "
            "measures some seconds, and needs PyTorch.",
        ),
    ] = False,
    threads: Threads = None,
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Show the network's configuration, its parameters and MACs, and what it runs on here."""
    from rich.console import Console
    from rich.table import Table

    from dvmsr.engine import available_threads, instruction_set
    from dvmsr.evaluation.complexity import count_complexity
    from dvmsr.weights import load_weights

    sides = re.fullmatch(r"(\d+)x(\d+)", size)
    if sides is None:
        raise ArgumentError(f"size must be rows x columns, e.g. 256x256, got {size}")
    height, width = int(sides[1]), int(sides[2])
    loaded = load_weights(weights, residual=says_yes(residual))
    if table:
        _print_efficiency(loaded, height, width, threads or available_threads())
        return
    cost = count_complexity(loaded.config, height, width)

    console = Console()
    network = Table("Network", "")
    network.columns[1].overflow = "fold"
    network.add_row("weights", loaded.source)
    for name, value in asdict(loaded.config).items():
        network.add_row(name.replace("_", " "), str(value))
    network.add_row("instruction set", instruction_set())
    network.add_row("threads", str(threads or available_threads()))
    console.print(network)

    costs = Table("Part", "Parameters", "GMACs", "Share", title=f"{height}x{width} input, 1 MAC = 2 FLOPs")
    for column in costs.columns[1:]:
        column.justify = "right"
    for part in cost.parts:
        costs.add_row(
            part.name, f"{part.parameters:,}", f"{part.macs / 1e9:.3f}", f"{part.macs / cost.macs:.1%}"
        )
    costs.add_section()
    costs.add_row("all", f"{cost.parameters:,}", f"{cost.macs / 1e9:.3f}", "100.0%")
    console.print(costs)
    console.print(
        "The 20.17 G that the paper gives for its student at 256x256 leave out what runs inside Mamba's "
        "fused kernel: conv1d, x_proj, dt_proj, the scan and out_proj, 10.70 G."
    )


def _print_efficiency(weights: LoadedWeights, height: int, width: int, threads: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from dvmsr.evaluation.efficiency import measure_efficiency

    columns = measure_efficiency(weights, height, width, threads)
    title = f"{height}x{width} input, float32, {threads} threads"
    shown = Table("", *(column.name for column in columns), title=title)
    for heading in shown.columns[1:]:
        heading.justify = "right"
    costs = [column.complexity for column in columns]
    giga = [f"{column.published_macs / 1e9:.2f}" for column in columns]
    shown.add_row("parameters", *(f"{cost.parameters:,}" for cost in costs))
    shown.add_row("G MACs, the fused scan uncounted", *giga)
    shown.add_row("G MACs, all counted", *(f"{cost.macs / 1e9:.2f}" for cost in costs))
    shown.add_row("  of these the scan alone", *(f"{cost.scan_macs / 1e9:.2f}" for cost in costs))
    shown.add_row("M activations", *(f"{cost.activations / 1e6:.2f}" for cost in costs))
    shown.add_row("seconds, engine and PyTorch", *(f"{column.seconds:.3f}" for column in columns))
    shown.add_row("peak memory (MiB)", *(f"{column.memory_mib:.0f}" for column in columns))
    Console().print(shown)
