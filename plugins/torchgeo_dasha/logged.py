"""What a search found, in the trainer's loggers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from dasha.report.run_plots import kernel_figure
from dasha.search import load_search
from dasha.search.result import SearchResult


def log_search(loggers: Iterable[Logger], folder: Path) -> None:
    """Score, seconds and hyperparameters for every logger; a table and the kernels for those that take pictures.

    Args:
        loggers: Of the trainer.
        folder: Of a finished search.
    """
    found = load_search(folder)
    numbers = {
        "dasha/score": found.score,
        **{f"dasha/seconds_{stage}": seconds for stage, seconds in found.seconds.items()},
        **{f"dasha/score_{name}": score for name, score in found.backbone_scores.items()},
    }
    for logger in loggers:
        logger.log_metrics(numbers, step=0)
        logger.log_hyperparams({f"found_{name}": value for name, value in _chosen(found).items()})
        writer: Any = getattr(logger, "experiment", None)
        if hasattr(writer, "add_text"):
            writer.add_text("dasha/search", _table(found), 0)
        if hasattr(writer, "add_figure") and found.plan.architecture:
            sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"]["train"]["shape"][1:]
            writer.add_figure("dasha/kernels", kernel_figure(found.plan.architecture, ndim=2, extent=max(sizes)), 0)


def _chosen(found: SearchResult) -> dict[str, object]:
    return {"backbone": found.plan.backbone, "width": found.plan.width, **found.hyperparameters}


def _table(found: SearchResult) -> str:
    """Everything that was chosen, as Markdown."""
    rows = {**_chosen(found), f"{found.plan.task.metric} on validation": abs(found.score)}
    kernels = {
        name: f"{size} × {size}, dilation {dilation}" for name, (size, dilation) in found.plan.architecture.items()
    }
    lines = [f"| {name} | {_short(value)} |" for name, value in {**rows, **kernels}.items()]
    return "\n".join(["| chosen | |", "|---|---|", *lines])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
