"""``dvmsr web``: a page on which pictures are dropped, enlarged and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvmsr.cli.numbers import number, whole_number
from dvmsr.cli.options import Debug, Device, ModelName, Precision, Residual, Threads, Weights, read_network

# The numbers are those of dvmsr.web.Limits, which is not imported for the help text; a test compares them.
_LIMITS = "Limits"
_LISTENING = "Where it listens"


def _amount(text: str) -> float:
    value = number(text)
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"expected a number above 0, got {text[:40]}")
    return value


def web(
    host: Annotated[
        str,
        typer.Option(
            help="Name or address to listen on; 0.0.0.0 for all of this machine's.",
            rich_help_panel=_LISTENING,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(0, 65535),
            metavar="N",
            help="Port; 0 for any. By default 8765, or the next that is free.",
            rich_help_panel=_LISTENING,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="Name to ask for, with --password.", envvar="DVMSR_USER", rich_help_panel=_LISTENING
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            help="Password to ask for. As a variable others on this machine do not see it.",
            envvar="DVMSR_PASSWORD",
            rich_help_panel=_LISTENING,
        ),
    ] = None,
    no_password: Annotated[
        bool,
        typer.Option(
            "--no-password", help="Let other machines in without a password.", rich_help_panel=_LISTENING
        ),
    ] = False,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open a browser.", rich_help_panel=_LISTENING),
    ] = True,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where pictures lie while they are worked on. By default ~/.cache/dvmsr/web.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_file: Annotated[
        float, typer.Option(parser=_amount, metavar="MIB", help="Largest file.", rich_help_panel=_LIMITS)
    ] = 200,
    max_pixels: Annotated[
        int,
        typer.Option(
            parser=whole_number(1), metavar="N", help="Most pixels of a picture.", rich_help_panel=_LIMITS
        ),
    ] = 100_000_000,
    max_queue: Annotated[
        int,
        typer.Option(
            parser=whole_number(1),
            metavar="N",
            help="Most pictures of one person that wait.",
            rich_help_panel=_LIMITS,
        ),
    ] = 100,
    max_pictures: Annotated[
        int,
        typer.Option(
            parser=whole_number(1),
            metavar="N",
            help="Most pictures of one person on the page.",
            rich_help_panel=_LIMITS,
        ),
    ] = 200,
    max_minutes: Annotated[
        float,
        typer.Option(parser=_amount, metavar="X", help="Longest work on a picture.", rich_help_panel=_LIMITS),
    ] = 60,
    max_stored: Annotated[
        float,
        typer.Option(
            parser=_amount, metavar="MIB", help="Most of one person's files.", rich_help_panel=_LIMITS
        ),
    ] = 8192,
    max_all_stored: Annotated[
        float,
        typer.Option(
            parser=_amount, metavar="MIB", help="Most of everybody's files.", rich_help_panel=_LIMITS
        ),
    ] = 32768,
    max_people: Annotated[
        int,
        typer.Option(
            parser=whole_number(1), metavar="N", help="Most people at a time.", rich_help_panel=_LIMITS
        ),
    ] = 50,
    keep_minutes: Annotated[
        float,
        typer.Option(
            parser=_amount,
            metavar="X",
            help="How long files are kept after the page was closed.",
            rich_help_panel=_LIMITS,
        ),
    ] = 30,
    weights: Weights = None,
    residual: Residual = None,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    debug: Debug = False,
) -> None:
    """Open a page in the browser: drop pictures on it, enlarge them here, compare, download.

    Nothing leaves this machine. Files are removed when the page has been closed for a while, and when this
    command ends.
    """
    from dvmsr.cli.printing import say
    from dvmsr.web import Address, Limits, serve
    from dvmsr.web.networks import Networks

    mebi = 1 << 20
    limits = Limits(
        file_bytes=round(max_file * mebi),
        pixels=max_pixels,
        queue=max_queue,
        pictures=max_pictures,
        seconds=60 * max_minutes,
        stored_bytes=round(max_stored * mebi),
        all_stored_bytes=round(max_all_stored * mebi),
        sessions=max_people,
        idle_seconds=60 * keep_minutes,
    )
    own = read_network(weights, residual, None, None, ModelName.AUTO).weights
    serve(
        lambda: Networks(own, device, threads, precision),
        Address(host, port, user, password, no_password),
        limits,
        root=folder,
        open_browser=browser,
        on_ready=lambda url: say(f"dvmsr is at {url} until you press Ctrl-C here"),
        debug=debug,
    )
