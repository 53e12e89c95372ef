"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.numbers import number, whole_number
from dvmsr.errors import ArgumentError

if TYPE_CHECKING:
    from dvmsr.inference import Upscaler
    from dvmsr.weights import Weights as LoadedWeights

NETWORK_PANEL = "Network and machine"
"""Where the help shows what computes."""

SIZE_PANEL = "Size"
"""Where the help shows how large the result becomes."""

DEBUG_KEY = "dvmsr.debug"
"""Where the context keeps whether errors are shown with their traceback."""


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG_KEY] = value
    return value


Scale = Annotated[
    float | None,
    typer.Option(
        "--scale",
        "-s",
        parser=number,
        metavar="TIMES",
        help="How many times larger each side becomes: above 1, up to 16. By default 4.",
        rich_help_panel=SIZE_PANEL,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="SIZE",
        help="Frame to fit into instead of a scale: 3840x2160, 3840x, x2160 or long=4000.",
        rich_help_panel=SIZE_PANEL,
    ),
]


class AlphaMethod(str, Enum):
    """How transparency is enlarged."""

    NETWORK = "network"
    BICUBIC = "bicubic"


Alpha = Annotated[
    AlphaMethod,
    typer.Option(
        "--alpha",
        help="How transparency is enlarged: by the network like the colours, which takes as long again; "
        "or by bicubic interpolation.",
        rich_help_panel="What is written",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="File of weights, ours or the authors'. By default the ones shipped.",
        rich_help_panel=NETWORK_PANEL,
    ),
]


class YesOrNo(str, Enum):
    """An answer."""

    YES = "yes"
    NO = "no"


def says_yes(answer: YesOrNo | None) -> bool | None:
    """Return an answer as a bool; None where there is none."""
    return None if answer is None else answer is YesOrNo.YES


Residual = Annotated[
    YesOrNo | None,
    typer.Option(
        help="Whether each ViMM adds its input to its output, for weights whose file does not say.",
        rich_help_panel=NETWORK_PANEL,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(1),
        metavar="N",
        help="CPU threads. By default one per core.",
        rich_help_panel=NETWORK_PANEL,
    ),
]


class ModelName(str, Enum):
    """Which shipped network."""

    CLEAN = "clean"
    PHOTO = "photo"
    AUTO = "auto"


Model = Annotated[
    ModelName | None,
    typer.Option(
        help="Shipped network: clean, for images that lost nothing but size; photo, for the traces of JPEG, "
        "noise and blur; auto chooses for each image by what it lost.",
        rich_help_panel=NETWORK_PANEL,
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="X",
        help="With --model photo, how far from the clean network to it, 0 to 1. By default 1.",
        rich_help_panel=NETWORK_PANEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: cpu; cuda, cuda:N or another device of PyTorch; torch: PyTorch on the CPU; "
        "auto: cuda if there is one.",
        rich_help_panel=NETWORK_PANEL,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="What to compute in: fp32; bf16; fp16 (not on a CPU); auto: bf16 on a CPU that multiplies it.",
        rich_help_panel=NETWORK_PANEL,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", callback=_remember_debug, is_eager=True, help="Show errors with their traceback."
    ),
]


@dataclass(frozen=True)
class NamedNetwork:
    """What ``--weights``, ``--residual``, ``--model`` and ``--strength`` name."""

    weights: LoadedWeights | None
    """The content of a file; None: a network that comes with the package."""

    model: str
    """Of those, which one: see ``Upscaler``."""

    strength: float
    """See ``Upscaler``."""

    def upscaler(self, device: str, threads: int | None, precision: str) -> Upscaler:
        """Make it ready to run; see ``Upscaler``.

        Raises:
            DvmsrError: See ``Upscaler``.
        """
        from dvmsr.inference import Upscaler

        return Upscaler(self.weights, device, threads, precision, model=self.model, strength=self.strength)


def read_network(
    weights: Path | None,
    residual: YesOrNo | None,
    model: ModelName | None,
    strength: float | None,
    default: ModelName,
) -> NamedNetwork:
    """Read what the options name.

    Args:
        weights: A file.
        residual: What it does not say itself.
        model: A shipped network instead.
        strength: Of the photo network.
        default: The shipped network where none is named.

    Raises:
        ArgumentError: They do not go together.
        WeightsError: The file is missing, damaged or of another network.
    """
    if weights is not None and model is not None:
        raise ArgumentError("expected either --weights or --model, got both")
    if strength is not None and model is not ModelName.PHOTO:
        raise ArgumentError("--strength is of the photo network: add --model photo")
    if weights is not None:
        from dvmsr.weights import load_weights

        loaded = load_weights(weights, residual=says_yes(residual))
        return NamedNetwork(loaded, ModelName.CLEAN.value, 1.0)
    if residual is not None:
        raise ArgumentError("--residual is of a file of weights: name it by --weights")
    return NamedNetwork(None, (model or default).value, 1.0 if strength is None else strength)
