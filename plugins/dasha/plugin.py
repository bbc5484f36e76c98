"""What the core itself offers, through the same hooks as anyone else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasha._markers import hookimpl

if TYPE_CHECKING:
    from dasha.hookspecs import CommandTable


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer the commands that need no host."""
    cli.add_command(
        "forecast", "dasha.cli.forecast:forecast", help="Forecast the series of a CSV, Parquet or .tsf file."
    )
    cli.add_command("plugins", "dasha.cli.plugins:plugins", help="List the plugins and what they offer.")
    cli.add_command("doctor", "dasha.cli.doctor:doctor", help="Check the environment and every plugin.")
