"""Predictions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from dasha.tasks import TaskSpec
from genomics_adapter.sequences.data import SequenceData


def write_predictions(path: Path, data: SequenceData, outputs: Sequence[Tensor], task: TaskSpec) -> None:
    """Write a CSV file with a row for every sequence, in their order.

    Args:
        path: The file; its folder is made.
        data: What was predicted. Its names stand in the column ``name``, or else where each sequence is from.
        outputs: Probabilities or numbers, batch by batch.
        task: Names the columns: ``probability`` of class 1, the classes or labels, or the targets.
    """
    values = torch.cat(list(outputs)).float().cpu().numpy()
    table = pd.DataFrame(values, columns=columns_of(task))
    table.insert(0, "name", data.titles)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def columns_of(task: TaskSpec) -> list[str]:
    """Names of the outputs."""
    if task.kind == "binary":
        return ["probability"]
    if task.class_names:
        return list(task.class_names)
    word = {"multiclass": "class", "multilabel": "label"}.get(task.kind, "target")
    return [f"{word}_{number}" for number in range(task.num_outputs)]
