"""``dvmsr info``: the network, what it costs, and the machine."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated

import typer

from dvmsr.cli.options import Debug, Residual, Threads, Weights, says_yes
from dvmsr.errors import ArgumentError


def info(
    weights: Weights = None,
    residual: Residual = None,
    size: Annotated[
        str,
        typer.Option(metavar="HxW", help="Rows and columns of the input image that MACs are counted for."),
    ] = "256x256",
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
