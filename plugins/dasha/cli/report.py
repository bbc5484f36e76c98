"""``dasha report``: the page about a run, from the files of its folder."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File to write. [default: report.html in the folder]", show_default=False)
    ] = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write the page about a run: kernels, trials, training, test results, cost, and what repeats it.

    The run need not be finished; what is there by now is shown.
    """
    from dasha.report.run import write_report

    path = write_report(run, out).absolute()
    typer.echo(f"report: wrote {path}")
    if open_report:
        typer.launch(path.as_uri())
