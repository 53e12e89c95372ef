"""``dvmsr evaluate``: scores on benchmark sets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.options import (
    Debug,
    Device,
    Model,
    ModelName,
    Precision,
    Residual,
    Strength,
    Threads,
    Weights,
    YesOrNo,
    make_upscaler,
    says_yes,
)
from dvmsr.cli.printing import say
from dvmsr.errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    from rich.status import Status

    from dvmsr.evaluation.benchmark import SetScore, SupportsUpscale
    from dvmsr.inference import Upscaler


def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR",
            help="Benchmark sets as they are downloaded: folders with HR/ and LR/, with DIV2K's "
            "LR_bicubic/X4/, or with HR images alone, whose LR images are then made.",
        ),
    ],
    model: Model = None,
    strength: Strength = None,
    weights: Weights = None,
    residual: Residual = None,
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="MODULE:FUNCTION",
            help="Score any torch.nn.Module instead: what this function returns, called with what --weights "
            "names, or with nothing. dvmsr.model:DVMSR.from_weights is ours as model/ defines it.",
        ),
    ] = None,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble", help="Average over the 8 flips and rotations: 8 times the work, better."
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also save the enlarged images, as FOLDER/SET/NAME_x4.png."),
    ] = None,
    degrade: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make the LR images anew as people's are: jpeg40, jpeg60 or jpeg80 of that quality, noise10"
            " with Gaussian noise of 10/255, or phone with blur, noise and JPEG.",
        ),
    ] = None,
    save_low: Annotated[
        Path | None,
        typer.Option(
            "--save-lr", metavar="FOLDER", help="Keep these LR images, as FOLDER/SET/NAME.png or .jpg."
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Also write the scores, each image's too, to this file; - is standard output."
        ),
    ] = None,
    debug: Debug = False,  # noqa: ARG001 - remembered by its callback
) -> None:
    """Score the network on benchmark sets: PSNR and SSIM of the luma channel, PSNR of RGB."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dvmsr.degradations import PRESETS
    from dvmsr.evaluation.benchmark import Bicubic, SelfEnsemble, check_sets, make_report, score_set
    from dvmsr.evaluation.datasets import open_sets
    from dvmsr.evaluation.degraded import degrade_sets
    from dvmsr.evaluation.saving import OutputFolder
    from dvmsr.images import open_image
    from dvmsr.inference.choosing import choose_model
    from dvmsr.weights import shipped_weights

    to_stdout = json_file == Path("-")
    # The table makes room for JSON on standard output.
    console = Console(stderr=to_stdout)
    if degrade is not None and degrade not in PRESETS:
        raise ArgumentError(f"--degrade must be one of {', '.join(PRESETS)}, got {degrade}")
    if save_low is not None and degrade is None:
        raise ArgumentError("--save-lr keeps the LR images that --degrade makes: name a degradation")
    # Before the work, not after it.
    if json_file is not None and not to_stdout and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise ArgumentError(f"{json_file}: cannot be written: it is a folder, or its folder is missing")
    if json_file is not None and json_file.suffix != ".json" and json_file.exists():
        raise ArgumentError(f"{json_file}: exists already; choose another name, or one that ends in .json")
    own = None
    if network is not None:
        if self_ensemble or precision != "fp32" or model is not None or strength is not None:
            raise ArgumentError(
                "--network is scored as it is: leave out --self-ensemble, --precision, --model and --strength"
            )
        own = _own_network(network, weights, residual, device, threads)
    upscaler = make_upscaler(
        weights,
        residual,
        model,
        strength,
        ModelName.CLEAN,
        device=device,
        threads=threads,
        precision=precision,
    )
    scale = upscaler.scale if own is None else own.scale
    sets = open_sets(folders, scale)
    outputs = OutputFolder(save, scale) if save is not None else None
    if outputs is not None:
        outputs.check(sets)
    check_sets(sets, scale)
    for benchmark in sets:
        if not benchmark.has_low and degrade is None:
            say(f"{benchmark.name}: no LR images, made from HR by bicubic reduction", error=True)
    bicubic = Bicubic(scale)

    def scored(network: Upscaler) -> SelfEnsemble | Upscaler:
        return SelfEnsemble(network) if self_ensemble else network

    def choose(path: Path) -> SelfEnsemble | Upscaler:
        return scored(upscaler.with_strength(choose_model(open_image(path)).strength))

    with TemporaryDirectory() as folder:
        if degrade is not None:
            sets = degrade_sets(sets, degrade, scale, save_low or Path(folder))
        table = Table("Set", "Images", "By", "PSNR-Y (dB)", "SSIM-Y", "PSNR-RGB (dB)", "Seconds")
        for column in (table.columns[1], *table.columns[3:]):
            column.justify = "right"
        scores, references = [], []
        for number, benchmark in enumerate(sets, start=1):
            label, total = escape(f"[{number}/{len(sets)}] {benchmark.name}"), len(benchmark.pairs)
            with console.status(f"{label}: bicubic interpolation") as status:
                reference = score_set(bicubic, benchmark)
                status.update(f"{label}: 0 of {total} images")
                show = _counter(status, label, total)
                keep = outputs.keep(benchmark) if outputs is not None else None
                score = score_set(
                    own or scored(upscaler),
                    benchmark,
                    on_image=show,
                    on_output=keep,
                    choose=choose if model is ModelName.AUTO else None,
                )
            scores.append(score)
            references.append(reference)
            table.add_row(score.name, str(total), "bicubic", *_cells(reference))
            table.add_row("", "", "ensemble" if self_ensemble else "network", *_cells(score))
            table.add_section()
    console.print(table)
    if json_file is None:
        return
    name = str(weights or network or shipped_weights().name)
    if model in (ModelName.PHOTO, ModelName.AUTO):
        name = f"{model.value} model" + (f" at strength {strength:g}" if strength is not None else "")
    report = json.dumps(
        make_report(name, scores, references, self_ensemble=self_ensemble, degradation=degrade), indent=2
    )
    if to_stdout:
        typer.echo(report)
        return
    try:
        json_file.write_text(report + "\n", encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"{json_file}: cannot be written: {error.strerror}") from error


def _own_network(
    name: str, weights: Path | None, residual: YesOrNo | None, device: str, threads: int | None
) -> SupportsUpscale:
    from dvmsr.plugins import load_plugin
    from dvmsr.weights import load_weights

    try:
        import torch

        from dvmsr.evaluation.networks import NetworkUpscaler, build_network, network_scale
        from dvmsr.torch_engine import find_device, sees_gpu
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "gpu", "--network") from error
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if sees_gpu() else "cpu"
    arguments = [] if weights is None else [load_weights(weights, residual=says_yes(residual))]
    network = build_network(load_plugin(name, "--network"), f"--network {name}", None, *arguments)
    scale = network_scale(network, f"--network {name}")
    return NetworkUpscaler(network.to(find_device("torch" if device == "cpu" else device)), scale)


def _counter(status: Status, label: str, total: int) -> Callable[[object], None]:
    done = itertools.count(1)
    return lambda _: status.update(f"{label}: {next(done)} of {total} images")


def _cells(score: SetScore) -> tuple[str, str, str, str]:
    return f"{score.psnr_y:.3f}", f"{score.ssim_y:.4f}", f"{score.psnr_rgb:.3f}", f"{score.seconds:.2f}"
