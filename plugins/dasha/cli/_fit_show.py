"""What ``dasha fit``, ``dasha search`` and ``dasha resume`` print: data before, results afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from dasha.cli._output import format_cell, note, print_json, print_table
from dasha.data.inspection import first_shape
from dasha.data.sources import SourceData
from dasha.data.split import as_split
from dasha.manager import get_manager
from dasha.metrics import METRICS


def describe_data(data: SourceData) -> list[str]:
    """Lines on what was read, so that a misreading shows before any time is spent."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    splits = {name: as_split(part, name) for name, part in parts.items() if part is not None}
    sizes = {name: "an unknown number" if split.size is None else split.size for name, split in splits.items()}
    counts = ", ".join(f"{size} for {'training' if name == 'train' else name}" for name, size in sizes.items())
    channels, *others = first_shape(splits["train"]) or (None,)
    shape = "" if channels is None else f" of {channels} {'channel' if channels == 1 else 'channels'}"
    shape += "".join(f" × {size}" for size in others)
    lines = [f"{counts} samples{shape}; {data.rule if data.spec else f'split {data.rule}'}"]
    if data.spec is None and data.path.rpartition("/")[2] in get_manager().tasks:
        lines.append(f"read from {data.path}, which has the name of a registered task")
    if data.class_names:
        shown = ", ".join(data.class_names[:8]) + (" …" if len(data.class_names) > 8 else "")
        lines.append(f"{len(data.class_names)} classes: {shown}")
    return lines


def show(outcome: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what came out: tables, then the cost and where the report is."""
    if as_json:
        print_json(outcome)
    elif outcome["goal"] == "search":
        _show_search(outcome)
    else:
        _show_fit(outcome)


def _show_fit(outcome: Mapping[str, Any]) -> None:
    test, validation = outcome["test"] or {}, outcome["validation"]
    names = sorted({**validation, **test}, key=lambda name: name != outcome["metric"])
    rows: list[dict[str, object]] = [
        {"metric": _title(name), "validation": validation.get(name), "test": test.get(name)} for name in names
    ]
    print_table(rows, title=f"{outcome['backbone']}, {outcome['parameters']:,} parameters")
    typer.echo(f"fit: {_seconds(outcome)}; report in {outcome['report']}")
    if outcome["test"] is None:
        note("note: there is no test data; validation scores are optimistic, because choices were made on them")


def _show_search(outcome: Mapping[str, Any]) -> None:
    layers: list[dict[str, object]] = [
        {"layer": name, "kernel size": size, "dilation": dilation}
        for name, (size, dilation) in outcome["architecture"].items()
    ]
    if layers:
        print_table(layers, title=f"{outcome['backbone']}, kernels")
    values = outcome["hyperparameters"]
    print_table(
        [{"hyperparameter": name.replace("_", " "), "value": value} for name, value in values.items()],
        title=f"{outcome['backbone']}, hyperparameters",
    )
    score = format_cell(outcome["score"])
    typer.echo(f"search: {_title(outcome['metric'])} {score} on validation while it was tuned")
    typer.echo(f"search: {_seconds(outcome)}; report in {outcome['report']}")
    if outcome["fit"]:
        note(f"note: the search is finished, and no network is trained yet; to train it: {outcome['fit']}")


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric


def _seconds(outcome: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.0f} s" for name, value in outcome["seconds"].items())
