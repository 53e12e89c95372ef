"""Controlled experiments: variants of one training run, on the same data, steps and seeds.

Each variant is trained once for each seed; what is finished is not done again, and what was killed goes on.
The result is a table in docs/experiments/NAME.md and the numbers behind it in NAME.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvmsr import Upscaler
from dvmsr.atomic import write_atomically
from dvmsr.evaluation.benchmark import score_set
from dvmsr.evaluation.complexity import count_complexity
from dvmsr.evaluation.datasets import open_sets
from dvmsr.training import RunFolder, TrainingConfig, make_config, read_recipe, train
from dvmsr.training.recipe import Table, merge, parse_overrides
from dvmsr.training.run_folder import versions

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    name: str
    """What it is called there."""

    settings: tuple[str, ...] = ()
    """How it differs from the common recipe: as ``dvmsr train --set`` takes them."""

    teachers: int | None = 0
    """How many of the teachers that are given it learns from; None: all."""


@dataclass(frozen=True)
class Experiment:
    """A question, and the runs that answer it."""

    question: str
    variants: tuple[Variant, ...]


ENSEMBLE = "teacher.self_ensemble=true"
EXPERIMENTS = {
    "distillation": Experiment(
        "Does a teacher help, and with which weights of the two terms?",
        (
            Variant("no teacher"),
            Variant("lambda_hr 1, lambda_kd 0.5", (ENSEMBLE, "loss.lambda_kd=0.5"), None),
            Variant("lambda_hr 1, lambda_kd 1", (ENSEMBLE,), None),
            Variant("lambda_hr 0.5, lambda_kd 1", (ENSEMBLE, "loss.lambda_hr=0.5"), None),
            Variant("lambda_hr 0, lambda_kd 1", (ENSEMBLE, "loss.lambda_hr=0"), None),
        ),
    ),
    "teacher": Experiment(
        "Is a better teacher worth more: the mean of several, and over flips and rotations?",
        (
            Variant("one", (), 1),
            Variant("one, self-ensemble", (ENSEMBLE,), 1),
            Variant("all", (), None),
            Variant("all, self-ensemble", (ENSEMBLE,), None),
        ),
    ),
    "teacher-only": Experiment(
        "Do inputs without ground truth help: HR pixels as LR inputs, in as many patches again?",
        (
            Variant("without", ("teacher.outputs=online",), 1),
            Variant("with", ("teacher.outputs=online", "teacher.teacher_only=8"), 1),
        ),
    ),
    "optimizer": Experiment(
        "Adam, or Muon for the hidden layers' weights, and at which rates?",
        (
            Variant("Adam 1e-3", ("optimizer.name=adam",)),
            *(
                Variant(
                    f"Muon {muon}, Adam {adam} for the rest",
                    ("optimizer.name=muon", f"optimizer.muon_rate={muon}", f"optimizer.learning_rate={adam}"),
                )
                for muon, adam in (("5e-3", "1e-3"), ("1e-2", "1e-3"), ("2e-2", "1e-3"), ("1e-2", "5e-4"))
            ),
        ),
    ),
    "precision": Experiment(
        "Do products of bfloat16 learn as well as those of float32?",
        (
            Variant("float32", ("run.precision=fp32",)),
            Variant("bfloat16", ("run.precision=bf16-mixed",)),
        ),
    ),
    "residual": Experiment(
        "Does a residual around each ViMM help? The released weights were trained without.",
        (
            Variant("without", ("network.vimm_residual=false",)),
            Variant("with", ("network.vimm_residual=true",)),
        ),
    ),
    "states": Experiment(
        "How many states does each channel of the scan need?",
        tuple(Variant(f"{n} states", (f"network.state_size={n}",)) for n in (4, 8, 16)),
    ),
    "depth": Experiment(
        "The paper's ablation of depth: how many RSSBs?",
        tuple(Variant(f"{n} blocks", (f"network.blocks={n}",)) for n in (2, 4, 6)),
    ),
    "vimms": Experiment(
        "The paper's ablation of ViMMs: how many in each RSSB?",
        tuple(Variant(f"{n} in each", (f"network.vimms_per_block={n}",)) for n in (1, 2, 3)),
    ),
}


def make_run(common: Table, variant: Variant, seed: int, teachers: Sequence[Path]) -> TrainingConfig:
    """Return the configuration of one run."""
    if variant.teachers != 0 and len(teachers) < (variant.teachers or 1):
        raise SystemExit(f"{variant.name} needs a teacher: name its weights with --teacher")
    chosen = [str(path.absolute()) for path in teachers[: variant.teachers]]
    overrides = parse_overrides(variant.settings)
    return make_config(merge(common, overrides, {"teacher": {"weights": chosen}, "run": {"seed": seed}}))


def carry_out(name: str, common: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score all runs of an experiment."""
    experiment = EXPERIMENTS[name]
    runs = {
        (variant.name, seed): make_run(common, variant, seed, options.teacher)
        for variant in experiment.variants
        for seed in options.seeds
    }
    sets = open_sets(options.validate)
    rows = []
    for number, ((variant, seed), config) in enumerate(runs.items(), start=1):
        print(f"[{number}/{len(runs)}] {variant}, seed {seed}", flush=True)
        folder = options.runs / name / f"{variant.replace(' ', '-').replace(',', '')}-{seed}"
        weights = train(config, folder, resume=RunFolder(folder).config_file.exists())
        upscaler = Upscaler(weights, threads=1)
        scores = {
            score.name: score.psnr_y for score in (score_set(upscaler, benchmark) for benchmark in sets)
        }
        parameters = count_complexity(config.network, 1, 1).parameters
        rows.append({"variant": variant, "seed": seed, "parameters": parameters, "psnr_y": scores})
    record = json.loads(RunFolder(folder).record_file.read_text())
    return {
        "experiment": name,
        "question": experiment.question,
        "command": " ".join(
            [
                f"python benchmarks/experiments.py {name} --hr PHOTOGRAPHS --validate SET ...",
                *(f"--teacher {path.name}" for path in options.teacher),
                *([f"--teacher-outputs {options.teacher_outputs.name}"] if options.teacher_outputs else []),
                f"--recipe {options.recipe.name}",
                f"--steps {options.steps}",
                f"--seeds {' '.join(map(str, options.seeds))}",
                *(f"--set {setting}" for setting in options.set),
            ]
        ),
        "steps": config.run.steps,
        "batch": config.run.batch,
        "patch": config.data.patch,
        "photographs": record["data"],
        "versions": versions(),
        "rows": rows,
    }


def table(report: dict[str, Any]) -> str:
    """Return the report as a page: for each variant and set the mean over the seeds, and half their range."""
    rows, photographs, patch = report["rows"], report["photographs"], report["patch"]
    sets = list(rows[0]["psnr_y"])
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        f"# {report['experiment'].capitalize()}",
        "",
        report["question"],
        "",
        f"{report['steps']} steps of {report['batch']} patches of {patch}x{patch} LR pixels from"
        f" {photographs['files']} photographs (fingerprint {photographs['fingerprint']}), seeds"
        f" {', '.join(map(str, seeds))}. PSNR of the luma channel in dB: the mean over the seeds,"
        " ± half their range.",
        "",
        "| variant | parameters | " + " | ".join(sets) + " |",
        "|---|---|" + "---|" * len(sets),
    ]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        cells = [spread([row["psnr_y"][name] for row in own]) for name in sets]
        lines.append(f"| {variant} | {own[0]['parameters']:,} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Made by `{report['command']}`.", ""])


def spread(values: Sequence[float]) -> str:
    """Return the mean and half the range."""
    return f"{statistics.fmean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*EXPERIMENTS, "list"], help="the experiment; list shows all")
    parser.add_argument("--hr", type=Path, action="append", default=[], help="folder of photographs")
    parser.add_argument(
        "--validate", type=Path, action="append", default=[], help="benchmark set to score on"
    )
    parser.add_argument(
        "--teacher", type=Path, action="append", default=[], help="file of a teacher's weights"
    )
    parser.add_argument(
        "--teacher-outputs",
        type=Path,
        metavar="FOLDER",
        help="folder of outputs that all runs learn from",
    )
    parser.add_argument(
        "--recipe", type=Path, default=ROOT / "recipes" / "cpu.toml", help="what all runs share"
    )
    parser.add_argument("--steps", type=int, default=2000, help="steps of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="(default: 0 1)")
    parser.add_argument(
        "--set", action="append", default=[], help="another setting of all runs: SECTION.KEY=VALUE"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "experiments", help="folder of the runs")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "experiments", help="folder of the tables"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the experiment's table and numbers in that folder"
    )
    return parser.parse_args(arguments)


def check_targets(targets: Sequence[Path], *, overwrite: bool) -> None:
    """End the program where a table of before would be lost: hours of training stand behind it."""
    stored = [str(target) for target in targets if target.exists()]
    if stored and not overwrite:
        raise SystemExit(f"{' and '.join(stored)}: stored already; add --overwrite, or name another --output")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(arguments)
    if options.name == "list":
        for name, experiment in EXPERIMENTS.items():
            print(f"{name}: {experiment.question} {len(experiment.variants)} variants")
        return
    if not options.validate:
        raise SystemExit("name at least one benchmark set with --validate")
    numbers, page = (options.output / f"{options.name}.{suffix}" for suffix in ("json", "md"))
    check_targets((numbers, page), overwrite=options.overwrite)
    outputs = options.teacher_outputs
    common = merge(
        read_recipe(options.recipe),
        {
            "data": {"hr": [str(folder.absolute()) for folder in options.hr]},
            "teacher": {"outputs_folder": str(outputs.absolute()) if outputs else ""},
            "run": {"steps": options.steps},
            "machine": {"cache": str((options.runs / "cache").absolute())},
            # One validation, at the end; the table's scores are those of the exported weights.
            "monitor": {"validation": [], "validate_every": options.steps},
        },
        parse_overrides(options.set),
    )
    report = carry_out(options.name, common, options)
    options.output.mkdir(parents=True, exist_ok=True)
    # Again, for it may have taken days.
    check_targets((numbers, page), overwrite=options.overwrite)
    for target, text in ((numbers, json.dumps(report, indent=2) + "\n"), (page, table(report))):
        with write_atomically(target) as file:
            file.write(text.encode())
    print(table(report))


if __name__ == "__main__":
    main()
