"""``dasha demo images``: a network for handwritten digits that come with scikit-learn."""

from pathlib import Path
from typing import Annotated

import typer

from dasha.cli._fit_options import SetOption, parse_changes
from dasha.cli._output import JsonOption, note

# Of the quick budget: 8 × 8 pixels need no more.
SMALLER = {"tune.trials": 6, "retrain.epochs": 12, "width": 1}


def images(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier demo in it is continued.")] = Path(
        "dasha-demo-images"
    ),
    changes: SetOption = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Search, tune, train and test a network on handwritten digits, and write a report.

    The 1797 digits of 8 × 8 pixels come with scikit-learn; nothing is downloaded. It takes some minutes on two cores,
    and goes on where it was stopped.
    """
    from dasha.cli._fit_run import begin
    from dasha.cli._fit_show import describe_data, show
    from dasha.data.sources import read_task

    overrides = SMALLER | parse_changes(changes or [])
    data = read_task("digits")
    assert data.spec is not None
    for line in describe_data(data):
        note(f"note: {line}")
    command = [
        "dasha",
        "demo",
        "images",
        *(word for pair in changes or [] for word in ("--set", pair)),
        "--out",
        str(out),
    ]
    options = {"budget": "quick", "overrides": overrides, "backbone": "wide_resnet_2d", "seed": 0}
    outcome = begin("fit", out, data, data.spec, options=options, command=command)
    show(outcome, as_json=as_json)
    if open_report:
        typer.launch(Path(outcome["report"]).as_uri())
