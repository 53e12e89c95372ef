"""``dvmsr train``: learning from photographs alone."""

from __future__ import annotations

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


def train(
    run: Run,
    hr: Photographs = None,
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
    """Train a network from random weights."""
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
    request.carry_out()
