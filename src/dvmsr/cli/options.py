"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvmsr.cli.numbers import whole_number

if TYPE_CHECKING:
    from dvmsr.weights import Weights as LoadedWeights

NETWORK_PANEL = "Network and machine"
"""Where the help shows what computes."""

DEBUG_KEY = "dvmsr.debug"
"""Where the context keeps whether errors are shown with their traceback."""


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG_KEY] = value
    return value


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


def read_weights(path: Path | None, residual: YesOrNo | None) -> LoadedWeights:
    """Read what ``--weights`` and ``--residual`` name.

    Raises:
        WeightsError: See ``dvmsr.weights.load_weights``.
    """
    from dvmsr.weights import load_weights

    return load_weights(path, residual=None if residual is None else residual is YesOrNo.YES)
