"""``dasha resume``: a run goes on where it was stopped, on the data it was begun with."""

from pathlib import Path
from typing import Annotated

import typer

from dasha.cli._fit_options import DeviceOption
from dasha.cli._output import JsonOption


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)],
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Continue a run that was stopped; the data is read again from where it was, and compared.

    A run of dasha fit ends with the trained network, one of dasha search with the search. What is finished is shown.
    """
    from dasha.cli._fit_run import go_on
    from dasha.cli._fit_show import show

    show(go_on(run, device=device), as_json=as_json)
