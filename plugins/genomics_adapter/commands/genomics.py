"""``dasha genomics fit --config …``: Lightning's command line for DNA sequences in files."""

from __future__ import annotations

import typer

from genomics_adapter.commands.motifs import motifs

app = typer.Typer(help="DNA sequences: Lightning's fit, validate, test and predict, and what a network looks for.")
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _command(name: str, about: str) -> None:
    def run(context: typer.Context) -> None:
        from genomics_adapter.lightning_cli import run_cli

        run_cli([name, *context.args])

    run.__doc__ = about
    app.command(name, context_settings=_PASSED_ON)(run)


_command("fit", "Search, then train; --config reads YAML, --print_config shows all settings.")
_command("validate", "Metrics of a checkpoint on the validation data.")
_command("test", "Metrics of a checkpoint on the test data.")
_command("predict", "Probabilities or expected numbers from a checkpoint, as a table.")
app.command("motifs")(motifs)
