"""``dvmsr evaluate``: scores on benchmark sets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dvmsr.cli.numbers import whole_number
from dvmsr.cli.options import (
    Debug,
    Device,
    Model,
    ModelName,
    NamedNetwork,
    Precision,
    Residual,
    Strength,
    Threads,
    Weights,
    YesOrNo,
    read_network,
    says_yes,
)
from dvmsr.cli.printing import say
from dvmsr.errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from dvmsr.evaluation.benchmark import SetScore, SupportsUpscale
    from dvmsr.evaluation.datasets import BenchmarkSet
    from dvmsr.evaluation.saving import OutputFolder
    from dvmsr.inference import Upscaler

_STANDARD_OUTPUT = Path("-")


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
    scale: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(2, 16),
            metavar="N",
            help="Enlargement of the sets, as dvmsr upscale --scale makes it. By default the network's.",
        ),
    ] = None,
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

    from dvmsr.degradations import PRESETS
    from dvmsr.evaluation.benchmark import check_sets, make_report
    from dvmsr.evaluation.datasets import open_sets
    from dvmsr.evaluation.degraded import degrade_sets
    from dvmsr.evaluation.saving import OutputFolder

    if degrade is not None and degrade not in PRESETS:
        raise ArgumentError(f"--degrade must be one of {', '.join(PRESETS)}, got {degrade}")
    if save_low is not None and degrade is None:
        raise ArgumentError("--save-lr keeps the LR images that --degrade makes: name a degradation")
    if json_file is not None:
        _check_json(json_file)
    if network is None:
        named = read_network(weights, residual, model, strength, ModelName.CLEAN)
        upscaler = named.upscaler(device, threads, precision)
        entrant = _shipped_or_read(upscaler, named, weights, scale, self_ensemble=self_ensemble)
    elif self_ensemble or precision != "fp32" or any(each is not None for each in (model, strength, scale)):
        raise ArgumentError(
            "--network is scored as it is: leave out --self-ensemble, --precision, --model, --strength and "
            "--scale"
        )
    else:
        entrant = _Entrant(_own_network(network, weights, residual, device, threads), str(weights or network))
    scale = entrant.upscaler.scale
    sets = open_sets(folders, scale)
    outputs = OutputFolder(save, scale) if save is not None else None
    if outputs is not None:
        outputs.check(sets)
    check_sets(sets, scale)
    for benchmark in sets:
        if not benchmark.has_low and degrade is None:
            say(f"{benchmark.name}: no LR images, made from HR by bicubic reduction", error=True)
    # The table makes room for JSON on standard output.
    console = Console(stderr=json_file == _STANDARD_OUTPUT)
    with TemporaryDirectory() as folder:
        if degrade is not None:
            sets = degrade_sets(sets, degrade, scale, save_low or Path(folder))
        scores, references = _score(console, sets, entrant, outputs)
    if json_file is not None:
        report = make_report(
            entrant.name, scores, references, self_ensemble=self_ensemble, degradation=degrade
        )
        _write_json(json_file, report)


@dataclass(frozen=True)
class _Entrant:
    """What is scored."""

    upscaler: SupportsUpscale
    name: str
    label: str = "network"
    choose: Callable[[Path], SupportsUpscale] | None = None
    """What enlarges the LR image of a file, where it is chosen for each."""


def _shipped_or_read(
    upscaler: Upscaler, named: NamedNetwork, weights: Path | None, scale: int | None, *, self_ensemble: bool
) -> _Entrant:
    from dvmsr.evaluation.benchmark import Enlargement
    from dvmsr.images import open_image
    from dvmsr.inference.choosing import network_for
    from dvmsr.inference.sized import network_of_size
    from dvmsr.weights import shipped_weights

    def scored(network: Upscaler) -> SupportsUpscale:
        return Enlargement(network, scale, self_ensemble=self_ensemble)

    def choose(path: Path) -> SupportsUpscale:
        return scored(network_for(upscaler, open_image(path))[0])

    side = upscaler.scale if scale is None else scale
    taken = network_of_size(upscaler, (1, 1), (side, side))
    name = str(weights or shipped_weights(scale=taken.scale).name)
    if upscaler.model in ("photo", "auto"):
        name = f"{upscaler.model} model" + (f" at strength {named.strength:g}" if named.strength != 1 else "")
    label = "ensemble" if self_ensemble else "network"
    return _Entrant(scored(upscaler), name, label, choose if upscaler.model == "auto" else None)


def _score(
    console: Console, sets: Sequence[BenchmarkSet], entrant: _Entrant, outputs: OutputFolder | None
) -> tuple[list[SetScore], list[SetScore]]:
    """Score sets, and print the table. Return the scores, and those of bicubic interpolation."""
    from rich.markup import escape
    from rich.table import Table

    from dvmsr.evaluation.benchmark import Bicubic, score_set

    table = Table("Set", "Images", "By", "PSNR-Y (dB)", "SSIM-Y", "PSNR-RGB (dB)", "Seconds")
    for column in (table.columns[1], *table.columns[3:]):
        column.justify = "right"
    bicubic = Bicubic(entrant.upscaler.scale)
    scores, references = [], []
    for number, benchmark in enumerate(sets, start=1):
        label, total = escape(f"[{number}/{len(sets)}] {benchmark.name}"), len(benchmark.pairs)
        with console.status(f"{label}: bicubic interpolation") as status:
            reference = score_set(bicubic, benchmark)
            status.update(f"{label}: 0 of {total} images")
            score = score_set(
                entrant.upscaler,
                benchmark,
                on_image=_counter(status, label, total),
                on_output=outputs.keep(benchmark) if outputs is not None else None,
                choose=entrant.choose,
            )
        scores.append(score)
        references.append(reference)
        table.add_row(score.name, str(total), "bicubic", *_cells(reference))
        table.add_row("", "", entrant.label, *_cells(score))
        table.add_section()
    console.print(table)
    return scores, references


def _check_json(file: Path) -> None:
    """Find out before the work whether the scores may be written."""
    if file == _STANDARD_OUTPUT:
        return
    if file.is_dir() or not file.parent.is_dir():
        raise ArgumentError(f"{file}: cannot be written: it is a folder, or its folder is missing")
    if file.suffix != ".json" and file.exists():
        raise ArgumentError(f"{file}: exists already; choose another name, or one that ends in .json")


def _write_json(file: Path, report: dict[str, Any]) -> None:
    text = json.dumps(report, indent=2)
    if file == _STANDARD_OUTPUT:
        typer.echo(text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"{file}: cannot be written: {error.strerror}") from error


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
