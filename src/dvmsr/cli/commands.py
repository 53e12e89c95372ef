"""The subcommands together, and their errors in one line."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dvmsr.cli.distill import distill
from dvmsr.cli.evaluate import evaluate
from dvmsr.cli.export import export
from dvmsr.cli.finetune import finetune
from dvmsr.cli.info import info
from dvmsr.cli.options import DEBUG_KEY
from dvmsr.cli.printing import give_up, say
from dvmsr.cli.signals import exit_code
from dvmsr.cli.train import train
from dvmsr.cli.upscale import upscale
from dvmsr.cli.video import video
from dvmsr.cli.web import web
from dvmsr.errors import DvmsrError, is_lack_of_memory, options_named

# What the parser raises for wrong arguments; Typer has no public name for it.
_UsageError: Any = typer.BadParameter.__bases__[0]

_EXIT_ERROR = 2
# As of a process that the signal ended; Windows has none.
_EXIT_BROKEN_PIPE = 128 + 13


class _Commands(TyperGroup):
    """Turns our errors and Ctrl-C into one line and an exit code."""

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        # Help and version are printed here already.
        with _errors_in_one_line():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: Any) -> Any:
        with _errors_in_one_line(ctx):
            return super().invoke(ctx)


@contextmanager
def _errors_in_one_line(ctx: Any = None) -> Iterator[None]:
    def is_debugged() -> bool:
        return ctx is not None and bool(ctx.meta.get(DEBUG_KEY))

    try:
        yield
    except DvmsrError as error:
        if is_debugged():
            raise
        say(f"dvmsr: error: {error}", error=True)
        raise typer.Exit(_EXIT_ERROR) from error
    except BrokenPipeError as error:
        # Whoever read has read enough.
        give_up(sys.stdout)
        raise typer.Exit(_EXIT_BROKEN_PIPE) from error
    except OSError as error:
        if is_debugged():
            raise
        give_up(sys.stdout)
        cause = error.strerror or str(error)
        # Without a name where an open file fails, such as standard output.
        line = cause if error.filename is None else f"{os.fsdecode(error.filename)}: {cause}"
        say(f"dvmsr: error: {line}", error=True)
        raise typer.Exit(_EXIT_ERROR) from error
    except (MemoryError, RuntimeError) as error:
        if is_debugged() or not is_lack_of_memory(error):
            raise
        what = str(error).partition("\n")[0]
        say(f"dvmsr: error: not enough memory{what and f' ({what})'}; free some", error=True)
        raise typer.Exit(_EXIT_ERROR) from error
    except KeyboardInterrupt as error:
        say(": ".join(["dvmsr: interrupted", *map(str, error.args)]), error=True)
        raise typer.Exit(exit_code(signal.SIGINT)) from error


class _Upscale(TyperCommand):
    """``dvmsr upscale``, whose --ray needs no value where an option or nothing follows it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = args.index("--") if "--" in args else len(args)
        for i, argument in enumerate(args[:given]):
            if argument == "--ray":
                if i + 1 == given or args[i + 1].startswith("-"):
                    args[i] = "--ray=auto"
                break
        return super().parse_args(ctx, args)


_HELP = {"help_option_names": ["-h", "--help"]}
_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    upscale: (
        "dvmsr upscale photo.jpg",
        "dvmsr upscale photo.jpg -o large.png --scale 2",
        "dvmsr upscale holiday/ -o large/ --recursive --size long=4000",
        'dvmsr upscale "scans/*.tif" --format jpeg --quality 90 --report done.json',
        "dvmsr upscale s3://bucket/photos -o s3://bucket/large --ray",
        "curl -s URL | dvmsr upscale - -o - --format png > large.png",
    ),
    video: (
        "dvmsr video clip.mp4 -o large.mp4",
        "dvmsr video clip.mp4 -o large.mkv --size 3840x2160 --codec h265 --crf 18",
        "dvmsr video clip.mp4 -o large.mp4 --preview 4",
        "dvmsr video film.mkv -o part.mkv --start 12:30 --end 14:00",
        "dvmsr video banner.gif -o banner.webp --scale 2",
    ),
    web: (
        "dvmsr web",
        "dvmsr web --host 0.0.0.0 --user me --password secret",
    ),
    evaluate: (
        "dvmsr evaluate Set5/x4 Set14/x4 --json scores.json",
        "dvmsr evaluate Set5/x4 --weights mine.safetensors",
    ),
    info: ("dvmsr info", "dvmsr info --weights mine.safetensors"),
    train: ("dvmsr train photographs/ -o run/ --recipe recipes/cpu.toml",),
    distill: ("dvmsr distill photographs/ -o run/ --teacher teacher.safetensors",),
    finetune: ("dvmsr finetune photographs/ -o run/ --weights mine.safetensors",),
}

app = typer.Typer(
    name="dvmsr",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)
for _command, _examples in _EXAMPLES.items():
    # Apart by blank lines: others are joined into one paragraph.
    app.command(
        cls=_Upscale if _command is upscale else TyperCommand,
        context_settings=_HELP,
        epilog="\n\n".join(("Examples:", *_examples)),
    )(_command)
app.add_typer(export, name="export")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"dvmsr {version('dvmsr')}")
        raise typer.Exit()


@app.callback()
def _dvmsr(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Enlarge images with the DVMSR super-resolution network."""


def _message(error: Any) -> str:
    """What was wrong in a command line, in our order of words."""
    parameter = getattr(error, "param", None)
    if parameter is None or not error.message:
        return str(error.format_message())
    message = error.message.removeprefix("Value error, ")
    choice = re.fullmatch(r"(.*) is not one of (.*)\.", message, re.DOTALL)
    if choice is not None:
        names = choice[2].replace("'", "")
        message = f"expected one of {names}, got {choice[1]}"
    return f"{max(parameter.opts, key=len)}: {message}"


def run() -> int:
    """Run the command line, and return its exit code."""
    try:
        with options_named():
            return app(prog_name="dvmsr", standalone_mode=False) or 0
    except _UsageError as error:
        message = _message(error)
        # Without any argument it is empty, and the help text has been printed.
        if message:
            command = error.ctx.command_path if error.ctx else "dvmsr"
            say(f"dvmsr: error: {message.rstrip('.')} (see {command} --help)", error=True)
        return _EXIT_ERROR
    except typer.Abort:
        # What the parser makes of Ctrl-C between the commands.
        return exit_code(signal.SIGINT)
    finally:
        # Python's own end would make another exit code of what could not be written there.
        give_up(sys.stderr)
