"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dvmsr.weights import Weights as LoadedWeights

DEBUG_KEY = "dvmsr.debug"
"""Where the context keeps whether errors are shown with their traceback."""


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG_KEY] = value
    return value


Weights = Annotated[
    Path | None, typer.Option(help="File of weights, ours or the authors'. By default the ones shipped.")
]


class YesOrNo(str, Enum):
    """An answer."""

    YES = "yes"
    NO = "no"


Residual = Annotated[
    YesOrNo | None,
    typer.Option(
        help="Whether each ViMM adds its input to its output, for weights without metadata, which do not say."
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. By default one per core.")]
Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: cpu; cuda, cuda:N or another device of PyTorch; torch: PyTorch on the CPU; "
        "auto: cuda if there is one."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="What to compute in: fp32; bf16; fp16 (not on a CPU); auto: bf16 on a CPU that multiplies it."
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
