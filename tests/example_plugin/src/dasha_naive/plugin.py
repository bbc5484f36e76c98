"""Names what this package offers; nothing heavy is imported until an offer is used."""

import dasha


@dasha.hookimpl
def register_forecasters(register):
    """Offer the forecaster."""
    register("naive", make_naive)


@dasha.hookimpl
def register_tasks(register):
    """Offer the task."""
    register("direction", make_direction)


@dasha.hookimpl
def register_commands(cli):
    """Offer the command, by name, so that `dasha --help` need not import it."""
    cli.add_command("repeat-last", "dasha_naive.command:repeat_last", help="Forecast that nothing changes.")


def make_naive():
    """Return an unfitted forecaster."""
    from dasha_naive.forecaster import LastValue

    return LastValue()


def make_direction():
    """Return the task with its data."""
    from dasha_naive.task import direction

    return direction()
