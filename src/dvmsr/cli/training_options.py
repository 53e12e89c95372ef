"""What the commands that train have in common."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dvmsr.cli.numbers import whole_number
from dvmsr.cli.printing import say
from dvmsr.errors import ArgumentError

if TYPE_CHECKING:
    from dvmsr.training.recipe import Table

Photographs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="HR", help="Folders of photographs of any size: the ground truth."),
]
LowFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--lr", help="Folder of LR images by the same names, one for each HR. By default made by bicubic."
    ),
]
# Not named --run: torchrun would take that for a short form of an option of its own.
Run = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of the run: checkpoints, logs, pictures, weights.")
]
Recipe = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file with settings; options here go before it.")
]
Validation = Annotated[
    list[Path] | None,
    typer.Option("--validate", help="Benchmark set to score on: a folder with HR/ and LR/. Can be repeated."),
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", parser=whole_number(), metavar="N", help="Optimizer steps: run.steps."),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch", parser=whole_number(), metavar="N", help="Patches in a step: run.batch."),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", parser=whole_number(), metavar="N", help="Fixes initial weights and patches: run.seed."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Any other setting, e.g. network.channels=48 or optimizer.learning_rate=2e-4. Can be repeated.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run in the folder; its settings need not be repeated."),
]
Export = Annotated[
    Path | None,
    typer.Option("--export", help="Train no further: write the newest checkpoint's weights to this file."),
]


class TrainingRequest:
    """What a command line asks for.

    Args:
        hr: See the options of the same names in this module, here and below.
    """

    def __init__(
        self,
        *,
        hr: Sequence[Path] | None,
        lr: Sequence[Path] | None,
        run: Path,
        recipe: Path | None,
        validate: Sequence[Path] | None,
        steps: int | None,
        batch: int | None,
        seed: int | None,
        settings: Sequence[str] | None,
        resume: bool,
        export: Path | None,
    ) -> None:
        from dvmsr.training.recipe import make_paths_absolute, merge, parse_overrides, read_recipe, to_table
        from dvmsr.training.run_folder import RunFolder

        self._run = run
        self._resume = resume
        self._export = export
        options: Table = {
            "data": {"hr": _texts(hr), "lr": _texts(lr)},
            "monitor": {"validation": _texts(validate)},
            "run": {"steps": steps, "batch": batch, "seed": seed},
        }
        merged = merge(
            to_table(RunFolder(run).read_config()) if resume or export is not None else {},
            read_recipe(recipe) if recipe is not None else {},
            _given(options),
            parse_overrides(settings or ()),
        )
        # So that a run can be resumed from anywhere.
        self.table: Table = make_paths_absolute(merged)
        """The settings so far; a command can add its own."""

    def add(self, section: str, **values: Any) -> None:
        """Set keys of a section, those whose value is not None."""
        self.table.setdefault(section, {}).update({k: v for k, v in values.items() if v is not None})

    def carry_out(self) -> None:
        """Train or export, and print the path of the weights."""
        from dvmsr.training import RunFolder, make_config, train
        from dvmsr.training.processes import process_rank

        if self._export is not None:
            if self._resume:
                raise ArgumentError("--export trains no further: leave out --resume")
            steps = RunFolder(self._run).export(self._export, lambda text: say(text, error=True))
            typer.echo(f"{self._export}: weights after {steps} steps")
            return
        if process_rank() != 0:
            # A handler of Python's would not run while this process waits for a first one that has failed.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
        weights = train(make_config(self.table), self._run, resume=self._resume)
        if process_rank() == 0:
            typer.echo(str(weights))


def _texts(paths: Sequence[Path] | None) -> list[str] | None:
    return [*map(str, paths)] if paths else None


def _given(table: Table) -> Table:
    return {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in table.items()
    }
