"""``dasha genomics fit --config …``: Lightning's command line for DNA sequences in files."""

from __future__ import annotations

import typer

from dasha.commands import PASSED_ON
from genomics_adapter.commands.motifs import motifs

app = typer.Typer(help="DNA sequences: Lightning's fit, validate, test and predict, and what a network looks for.")


def fit(context: typer.Context) -> None:
    """Search, then train; --config reads YAML, --print_config shows all settings."""
    _run("fit", context)


def _command(name: str, about: str) -> None:
    def run(context: typer.Context) -> None:
        _run(name, context)

    run.__doc__ = about
    app.command(name, context_settings=PASSED_ON)(run)


def _run(name: str, context: typer.Context) -> None:
    from genomics_adapter.lightning_cli import run_cli

    run_cli([name, *context.args])


app.command("fit", context_settings=PASSED_ON)(fit)
_command("validate", "Metrics of a checkpoint on the validation data.")
_command("test", "Metrics of a checkpoint on the test data.")
_command("predict", "Probabilities or expected numbers from a checkpoint, as a table.")
app.command("motifs")(motifs)
