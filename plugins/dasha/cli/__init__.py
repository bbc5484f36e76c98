"""The ``dasha`` command: one line on standard error and status 2 for every error, a traceback with ``--debug``."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import dasha
from dasha.cli._lazy import LazyCommand, RootGroup, empty_group
from dasha.cli._output import DEBUG, JsonOption, note, print_json, print_rows, print_table
from dasha.commands import Command
from dasha.errors import DashaError
from dasha.manager import PluginManager, get_manager

__all__ = ["JsonOption", "main", "note", "print_json", "print_rows", "print_table"]

INTERRUPTED = 130
FAILURE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments after the program's name; by default those of the process.

    Returns:
        Exit status: 0, 1 if a check or comparison came out badly, 2 on an error, 130 if interrupted.
    """
    arguments, debug = take_debug(sys.argv[1:] if argv is None else argv)
    try:
        group = build(get_manager())
        status = group.main(
            arguments or ["--help"], prog_name="dasha", standalone_mode=False, obj=DEBUG if debug else None
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        note("dasha: aborted")
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        note(f"dasha: error: {describe(error)}")
        return FAILURE
    return status if isinstance(status, int) else 0


def build(manager: PluginManager) -> Any:
    """Return the command group with every command that the plugins offer."""
    app = typer.Typer(cls=RootGroup, add_completion=False, rich_markup_mode=None)
    app.callback()(_root)
    group: Any = typer.main.get_command(app)
    below: dict[str, dict[str, Command]] = {}
    for name, command in manager.commands.items():
        first, _, second = name.partition(".")
        if second:
            below.setdefault(first, {})[second] = command
    for name in sorted({*below, *(name for name in manager.commands if "." not in name)}):
        further = below.get(name, {})
        own = manager.commands.get(name) or Command(empty_group(), f"Commands: {', '.join(further)}.")
        group.add_command(LazyCommand(name, own, further))
    return group


def take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out of the arguments, so that it may stand anywhere before a lone ``--``."""
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    kept = [argument for argument in given[:end] if argument != "--debug"]
    return kept + given[end:], len(kept) < end


def describe(error: Exception) -> str:
    """Return the message for an error, without line breaks."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "dasha"
        text = f"{error.format_message()} (see '{where} --help')"
    elif isinstance(error, DashaError | OSError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error} (unexpected; --debug shows the traceback)"
    return " ".join(text.split())


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dasha {dasha.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Forecasting and architecture search that plug into the libraries you already use."""
