"""What this package adds to dasha: estimators, a Lightning task and two commands for DNA sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasha import Requirement, hookimpl

if TYPE_CHECKING:
    from dasha.hookspecs import CommandTable, Register

requires = (
    Requirement("tangermeme", install="dasha-plugins[genomics]"),
    Requirement("lightning", install="dasha-plugins[genomics]"),
    Requirement("pyfaidx", install="dasha-plugins[genomics]"),
    Requirement("sklearn", install="dasha-plugins[genomics]"),
)


@hookimpl
def register_adapters(register: Register[object]) -> None:
    """Offer what users of scikit-learn and of Lightning meet."""
    register("sequence_classifier", _classifier)
    register("sequence_regressor", _regressor)
    register("sequence_task", _task)


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer Lightning's command line, and a demonstration without data."""
    cli.add_command(
        "genomics",
        "genomics_adapter.commands.genomics:app",
        help="Fit, test and predict DNA sequences from a YAML file, by Lightning's command line.",
    )
    cli.add_command(
        "fit.genomics",
        "genomics_adapter.commands.genomics:fit",
        help="DNA sequences in tables, FASTA or BED files, as a YAML file says.",
        passes_on=True,
    )
    cli.add_command(
        "demo.genomics",
        "genomics_adapter.commands.demo:genomics",
        help="Find two motifs in made-up DNA sequences, and write a report.",
    )


def _classifier(**options: Any) -> object:
    from genomics_adapter.estimator import DashaSequenceClassifier

    return DashaSequenceClassifier(**options)


def _regressor(**options: Any) -> object:
    from genomics_adapter.estimator import DashaSequenceRegressor

    return DashaSequenceRegressor(**options)


def _task(**options: Any) -> object:
    from genomics_adapter.tasks import DashaSequenceTask

    return DashaSequenceTask(**options)
