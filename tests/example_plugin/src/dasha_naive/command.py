"""The command `dasha repeat-last`."""

from typing import Annotated

import typer

from dasha.cli import JsonOption, print_rows
from dasha.errors import InvalidArgumentError


def repeat_last(
    values: Annotated[list[float], typer.Argument(help="The series, oldest first.")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Forecast that nothing changes."""
    if horizon < 1:
        raise InvalidArgumentError(f"horizon is {horizon}, but must be at least 1")
    print_rows([{"step": step + 1, "value": values[-1]} for step in range(horizon)], as_json=as_json)
