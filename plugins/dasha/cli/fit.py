"""``dasha fit``: kernels searched, hyperparameters tuned and a network trained, from files to a report."""

from pathlib import Path
from typing import Annotated

import typer

from dasha.cli._output import JsonOption, note

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a value of the budget, such as tune.trials=8; may be repeated.", show_default=False
    ),
]


def fit(
    data: Annotated[Path, typer.Argument(help=".npz file, or folder of PNG or JPEG images.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier run of the same in it is continued.")],
    task: Annotated[
        str | None,
        typer.Option(
            help="binary, multiclass, multilabel, regression, segmentation or dense_regression. "
            "[default: multiclass for whole numbers and image folders]",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric that decides. [default: by the task]", show_default=False)
    ] = None,
    budget: Annotated[str, typer.Option(help="smoke, quick, standard or paper.")] = "quick",
    changes: SetOption = None,
    search: Annotated[str, typer.Option(help="Kernels: on (searched), off (the backbone's own) or random.")] = "on",
    backbone: Annotated[
        str, typer.Option(help="Name of a backbone, see dasha plugins, or auto: chosen on validation data.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of everything that is random; the split of the data is not.")] = 0,
    test: Annotated[
        Path | None,
        typer.Option(
            help="Test data from elsewhere: .npz with x_test and y_test, or image folder.", show_default=False
        ),
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Search kernels, tune hyperparameters, train and test a network; everything is kept in a folder.

    The .npz file holds x_train, y_train, x_val, y_val and perhaps x_test, y_test; inputs are (N, C, L) or (N, C, H, W).
    The folder holds images in a folder for every class, split by train.txt, val.txt and test.txt, or by folders train,
    val and test; otherwise they are split for you. Nothing is chosen on test data.
    """
    from dasha.cli._fit_run import begin, describe_data, parse_changes, show
    from dasha.cli._task import task_of
    from dasha.data.sources import read_source

    overrides = parse_changes(changes or [])
    source = read_source(data, test=test)
    spec = task_of(source, kind=task, metric=metric)
    for line in [*describe_data(source), f"task: {spec.kind}, {spec.metric} decides"]:
        note(f"note: {line}")
    named = {"--task": spec.kind, "--metric": spec.metric, "--budget": budget, "--search": search}
    command = ["dasha", "fit", str(data), *(word for pair in named.items() for word in pair)]
    command += [
        "--backbone",
        backbone,
        "--seed",
        str(seed),
        *(word for pair in changes or [] for word in ("--set", pair)),
    ]
    command += [*(["--test", str(test)] if test is not None else []), "--out", str(out)]
    options = {
        "budget": budget,
        "overrides": overrides,
        "search": search,
        "backbone": backbone,
        "seed": seed,
        "device": device,
    }
    show(begin(out, source, spec, options=options, command=command), as_json=as_json)
