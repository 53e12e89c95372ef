"""``dvmsr distill``: learning from photographs and a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


def distill(
    run: Run,
    hr: Photographs = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option("--teacher", help="File of a teacher's weights; several are averaged. Can be repeated."),
    ] = None,
    teacher_network: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher-network",
            metavar="MODULE:FUNCTION",
            help="Function that returns any torch.nn.Module: one more teacher, computed in each step. Can be "
            "repeated.",
        ),
    ] = None,
    teacher_outputs: Annotated[
        Path | None,
        typer.Option(
            "--teacher-outputs",
            metavar="FOLDER",
            help="Folder of any network's outputs, upright, by the photographs' names: one more teacher.",
        ),
    ] = None,
    self_ensemble: Annotated[
        bool | None,
        typer.Option(
            "--self-ensemble/--no-self-ensemble",
            help="Average each teacher over the 8 flips and rotations of its input.",
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
    """Train a student by distillation from one teacher or the mean of several."""
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
    teachers = [str(path.absolute()) for path in teacher] if teacher else None
    outputs = None if teacher_outputs is None else str(teacher_outputs.absolute())
    request.add("teacher", weights=teachers, outputs_folder=outputs, self_ensemble=self_ensemble)
    if teacher_network:
        request.add("teacher", networks=teacher_network, outputs="online")
    if not any(request.table["teacher"].get(key) for key in ("weights", "networks", "outputs_folder")):
        raise ArgumentError(
            "distillation needs a teacher: name its weights with --teacher, or a folder of its outputs with"
            " --teacher-outputs, or a network of your own with --teacher-network, or any in the recipe"
        )
    request.carry_out()
