"""A model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dasha.metrics import METRICS

_KERNELS = {"searched": "searched", "own": "those of the backbone", "random": "drawn at random"}


def card_text(content: Mapping[str, Any]) -> str:
    """The whole card; names from data are escaped."""
    return "\n".join(_lines(content)).rstrip() + "\n"


def _lines(card: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"# {_safe(card['name'])}", "")
    if card["notes"]:
        yield from (_safe(card["notes"]), "")
    task = card["task"]
    outputs = "1 output" if task["num_outputs"] == 1 else f"{task['num_outputs']} outputs"
    yield f"Task: {task['kind']}, {outputs}, loss {task['loss']}; {_title(task['metric'])} decides."
    if task["class_names"]:
        what = {"multilabel": "Labels", "regression": "Targets"}.get(task["kind"], "Classes")
        yield f"{what}: {', '.join(map(_safe, task['class_names']))}."
    uncertain = {"zeros": "N is a column of zeros", "fractions": "N has a quarter for every base"}[card["ambiguous"]]
    yield from ("", f"Input: one-hot `(N, 4, L)`, order A, C, G, T; {uncertain}.", "", "## Data", "")
    rows = [
        [
            key,
            f"{part['count']:,}",
            str(part["shape"][-1]),
            _safe(part.get("source", "")),
            part.get("fingerprint", "")[:12],
        ]
        for key, part in card["data"].items()
    ]
    yield from _table(["part", "sequences", "bases", "from", "fingerprint"], rows)
    notes = [f"- {key}: {_safe(note)}" for key, part in card["data"].items() for note in part.get("notes", ())]
    yield from ["", *notes] if notes else []
    yield from ("", "## Leaks", "")
    if card["leaks"] is None:
        yield "The parts were not compared."
    else:
        yield from (f"- {_safe(line)}" for line in card["leaks"]["text"].splitlines())
    yield from ("", "## Test data", "")
    yield from _metrics(card)
    yield from _network(card)
    yield from ("", "## Versions", "", ", ".join(f"{key} {value}" for key, value in card["versions"].items()) + ".")


def _metrics(card: Mapping[str, Any]) -> Iterator[str]:
    test = card["test"]
    if test is None:
        yield "There is none: nothing here says how well the model does on new data."
        return
    trainings, count = test["trainings"], card["trainings"]["count"]
    strands = ", which are means over both strands" if test["is_strand_average"] else ""
    rows = [
        [
            _title(name),
            _number(row["value"]),
            f"{_number(row['low'])} to {_number(row['high'])}",
            *([_spread(trainings[name])] if trainings else []),
        ]
        for name, row in test["metrics"].items()
    ]
    further = [f"mean of {count} trainings"] if trainings else []
    yield from _table(["metric", "value", "95 % interval", *further], rows)
    yield ""
    yield (
        f"{test['samples']:,} sequences, each metric once over all predictions{strands}; intervals are percentiles of "
        f"{test['resamples']} bootstrap samples. They do not cover what another training would change"
        + ("; the means with their 95 % intervals (Student's t) do." if trainings else ".")
    )


def _network(card: Mapping[str, Any]) -> Iterator[str]:
    network, settings = card["architecture"], card["settings"]
    yield from ("", "## Network", "")
    yield (
        f"{_safe(network['backbone'])}, {network['parameters']:,} parameters{_operations(network['flops'])}; "
        f"kernels {_KERNELS[network['kernels']]}."
    )
    yield ""
    rows = [
        [
            f"`{layer['name']}`",
            " → ".join(map(str, layer["channels"])),
            str(layer["kernel_size"]),
            str(layer["dilation"]),
            str(layer["reach"]),
            "yes" if layer["is_searched"] else "",
        ]
        for layer in network["layers"]
    ]
    yield from _table(["layer", "channels", "kernel", "dilation", "bases", "searched"], rows)
    values = ", ".join(f"{key} {_number(value)}" for key, value in card["hyperparameters"].items())
    seconds = ", ".join(f"{key} {value:.0f} s" for key, value in card["seconds"].items())
    yield from ("", "## Training", "", f"Budget {settings['budget']}, seed {settings['seed']}; {values}; {seconds}.")
    yield from _trainings(card)


def _operations(flops: int | None) -> str:
    return "" if flops is None else f", {flops:,} operations a sequence"


def _trainings(card: Mapping[str, Any]) -> Iterator[str]:
    count, decides = card["trainings"]["count"], card["task"]["metric"]
    if count > 1:
        which = "the mean of their networks" if card["trainings"]["is_ensemble"] else "the network of the first"
        yield f"There were {count} final trainings with different seeds; the model is {which}."
    if decides in card["validation"]:
        score = _spread(card["validation"][decides]) + ("" if count == 1 else f", mean of {count} trainings")
        yield f"{_title(decides)} on validation data, where all choices were made: {score}."


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _title(name: str) -> str:
    return METRICS[name].title if name in METRICS else name


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spread(row: Mapping[str, Any]) -> str:
    """A mean, and its interval where there is one."""
    return _number(row["mean"]) + ("" if row["interval"] is None else f" ± {_number(row['interval'])}")


def _safe(text: str) -> str:
    """One line without characters that Markdown or HTML would act on."""
    plain = " ".join(str(text).split())
    for character in "\\`*_[]|#":
        plain = plain.replace(character, "\\" + character)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
