"""Tables and facts of a run: trials, cost, and everything that is needed to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dasha.metrics import METRICS
from dasha.report.page import Cell, Table, number_cells
from dasha.report.run_outcomes import number_text
from dasha.report.run_record import RunRecord
from dasha.search.config import RunConfig, as_stored
from dasha.tasks import TaskSpec

MAX_TRIALS = 20
"""Trials that the table lists."""
_STAGES = {
    "backbone": "choice of the backbone",
    "search": "kernel search",
    "tune": "hyperparameters",
    "retrain": "final training",
}


def backbone_table(record: RunRecord, backbone: Mapping[str, Any]) -> Table:
    """Backbones and their validation scores, the best first, the chosen one marked."""
    scores = backbone["scores"]
    known = {name: -math.inf if score is None else float(score) for name, score in scores.items()}
    ranked = sorted(known, key=lambda name: -known[name])
    rows = [
        [
            Cell(name),
            Cell(number_text(record.unturned(scores[name])), numeric=True),
            Cell("diverged" if scores[name] is None else "chosen" if name == backbone["chosen"] else ""),
        ]
        for name in ranked
    ]
    return Table(["backbone", METRICS[record.metric].title, ""], rows, marked=[ranked.index(backbone["chosen"])])


def trial_table(record: RunRecord, tune: Mapping[str, Any]) -> Table:
    """The best trials, the winner first."""
    finite = [trial for trial in tune["trials"] if trial["state"] != "diverged" and trial["scores"]]
    best = {trial["number"]: max(score for score in trial["scores"] if score is not None) for trial in finite}
    ranked = sorted(finite, key=lambda trial: (-best[trial["number"]], trial["number"]))
    ranked += [trial for trial in tune["trials"] if trial not in finite]
    names = list(tune["hyperparameters"])
    rows = [
        [
            Cell(str(trial["number"]), numeric=True),
            *(Cell(number_text(trial["hyperparameters"].get(name)), numeric=True) for name in names),
            Cell(str(len(trial["scores"])), numeric=True),
            Cell(number_text(record.unturned(best.get(trial["number"]))), numeric=True),
            Cell(trial["state"].replace("pruned", "stopped")),
        ]
        for trial in ranked[:MAX_TRIALS]
    ]
    hidden = len(ranked) - len(rows)
    columns = ["trial", *(name.replace("_", " ") for name in names), "epochs", "best score", "state"]
    return Table(columns, rows, f"and {hidden} more" if hidden else "", marked=[0])


def cost_table(seconds: Mapping[str, float]) -> Table:
    """Seconds of every stage."""
    total = sum(seconds.values())
    cells = number_cells(list(seconds.values()), digits=1)
    rows = [
        [Cell(_STAGES.get(name, name)), Cell(cell.text, numeric=True, bar=cell.bar)]
        for name, cell in zip(seconds, cells, strict=True)
    ]
    return Table(["stage", "seconds"], [*rows, [Cell("all"), Cell(f"{total:.1f}", numeric=True)]])


def facts_of(record: RunRecord) -> dict[str, str]:
    """What repeats the run: data, settings, versions, command."""
    config, source = record.config, record.source
    facts = {"Run folder": str(record.path.absolute())}
    if source is not None:
        if source.get("command"):
            facts["Command"] = source["command"]
        facts["Data"] = f"{source['path']}; {source['rule']}"
    facts["In Python"] = python_call(config)
    own = {name: one for name, one in config.get("own", {}).items() if one is not None}
    if own:
        facts["Your own"] = _plain(own)
    for name, data in config["data"].items():
        shape = " × ".join(map(str, data["shape"]))
        facts[f"Data, {name}"] = f"{data['count']:,} samples of {shape}, fingerprint {data['fingerprint']}"
    if record.evaluation is not None and record.evaluation.get("fingerprint"):
        facts["Data, test"] = f"{record.evaluation['count']:,} samples, fingerprint {record.evaluation['fingerprint']}"
    facts["Settings"] = ", ".join(
        f"{name} {_plain(value)}" for name, value in config["settings"].items() if value != {}
    )
    facts |= budget_facts(config["budget"])
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return facts


def budget_facts(budget: Mapping[str, Any]) -> dict[str, str]:
    """Every number of the budget as it was used, stage by stage."""
    stages = {name: value for name, value in budget.items() if name in _STAGES}
    others = {name: value for name, value in budget.items() if name not in _STAGES and value != {}}
    return {
        **{f"Budget, {_STAGES[name]}": _plain(values) for name, values in stages.items()},
        "Budget, all stages": _plain(others),
    }


def python_call(config: Mapping[str, Any]) -> str:
    """The call that repeats a run, with the arguments that are not at their defaults; the user's own by their names."""
    task = {name: config["task"][name] for name in ("kind", "in_channels", "num_outputs")}
    options = _changed(config["task"], TaskSpec(**task))
    described = ", ".join([*map(repr, task.values()), *(f"{name}={value!r}" for name, value in options.items())])
    settings = {name: repr(value) for name, value in _changed(config["settings"], RunConfig()).items()}
    settings |= {name: name for name, one in config.get("own", {}).items() if one is not None}
    arguments = "".join(f", {name}={value}" for name, value in settings.items())
    return f"Dasha(TaskSpec({described}){arguments}).fit(train, validation)"


def _changed(values: Mapping[str, Any], default: RunConfig | TaskSpec) -> dict[str, Any]:
    """What differs from the defaults."""
    usual = as_stored(asdict(default))
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
