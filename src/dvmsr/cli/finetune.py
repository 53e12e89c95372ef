"""``dvmsr finetune``: going on from trained weights, on other photographs or with another loss."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.options import Debug
from dvmsr.cli.training_options import (
    BatchSize,
    Export,
    LowFolders,
    Photographs,
    Recipe,
    Resume,
    Run,
    Seed,
    Settings,
    Steps,
    TrainingRequest,
    Validation,
)
from dvmsr.errors import ArgumentError

if TYPE_CHECKING:
    from dvmsr.training.recipe import Table


def finetune(
    run: Run,
    hr: Photographs = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            help="File of weights to begin with. By default the recipe's run.initial_weights, else the ones"
            " shipped.",
        ),
    ] = None,
    lr: LowFolders = None,
    recipe: Recipe = None,
    validate: Validation = None,
    steps: Steps = None,
    batch: BatchSize = None,
    seed: Seed = None,
    settings: Settings = None,
    resume: Resume = False,
    export: Export = None,
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Train on from given weights; the network's shape is theirs, but for a scale that is set."""
    from dvmsr.training import make_config
    from dvmsr.weights import load_weights, shipped_weights

    if weights is not None and resume:
        raise ArgumentError("--resume goes on with the run's own weights: leave out --weights")

    request = TrainingRequest(
        hr=hr,
        lr=lr,
        run=run,
        recipe=recipe,
        validate=validate,
        steps=steps,
        batch=batch,
        seed=seed,
        settings=settings,
        resume=resume,
        export=export,
    )
    if not resume and export is None:
        config = make_config(request.table)
        wanted = config.run.initial_weights
        shipped = shipped_weights(scale=config.network.scale)
        start = (weights or (Path(wanted) if wanted else shipped)).absolute()
        shape = asdict(load_weights(start, residual=_residual(request.table)).config)
        for key, value in request.table.get("network", {}).items():
            if key == "scale":
                # Another last convolution is made of that of the weights.
                shape[key] = value
            elif shape.get(key, value) != value:
                raise ArgumentError(f"network.{key} is {shape[key]} in {start}, so it cannot be {value}")
        request.add("network", **shape)
        request.add("run", initial_weights=str(start))
    request.carry_out()


def _residual(table: Table) -> bool | None:
    """What the settings say of it, for weights that do not say so themselves."""
    value = table.get("network", {}).get("vimm_residual")
    return value if isinstance(value, bool) else None
