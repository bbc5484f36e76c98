"""``dasha doctor``: the environment, the GPU, and whether each plugin and its host load."""

import traceback
from dataclasses import asdict

import typer

from dasha.checks import Check, run_checks
from dasha.cli._output import DEBUG, JsonOption, print_json, print_table
from dasha.manager import get_manager


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check the environment and every plugin; exit with status 1 if something is broken."""
    if context.find_root().obj == DEBUG:
        for record in get_manager().failed:
            traceback.print_exception(record.exception)
    checks = run_checks(get_manager())
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        print_table([_row(check) for check in checks])
        typer.echo(f"doctor: {len(broken)} broken" if broken else "doctor: OK")
    if broken:
        raise typer.Exit(1)


def _row(check: Check) -> dict[str, object]:
    return {"check": check.name, "state": check.state, "found": check.detail, "to mend or add": check.fix}
