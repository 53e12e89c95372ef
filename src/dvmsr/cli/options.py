"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEBUG_KEY = "dvmsr.debug"
"""Where the context keeps whether errors are shown with their traceback."""


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG_KEY] = value
    return value


Weights = Annotated[
    Path | None, typer.Option(help="File of weights, ours or the authors'. By default the ones shipped.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. By default one per core.")]
Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: cpu; cuda, cuda:N or another device of PyTorch; auto: cuda if there is one."
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
