"""Predictions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter.sequences.data import SequenceData

_SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_PARQUET = ".parquet"


def check_table(path: Path) -> None:
    """Refuse what `write_predictions` cannot write.

    Raises:
        InvalidArgumentError: If it is a folder, or has another ending than those of a table.
    """
    if path.is_dir():
        raise InvalidArgumentError(f"--out {str(path)!r} is a folder; name a file, such as {path / 'predictions.csv'}")
    if not path.name.lower().endswith((*_SEPARATORS, _PARQUET)):
        raise InvalidArgumentError(
            f"--out {str(path)!r} ends in {path.suffix or 'nothing'!r}, but must end in "
            f"{', '.join(_SEPARATORS)} or {_PARQUET}"
        )


def write_predictions(path: Path, data: SequenceData, outputs: Sequence[Tensor], task: TaskSpec) -> None:
    """Write a table with a row for every sequence, in their order.

    Args:
        path: The file, of an ending that `check_table` allows; its folder is made.
        data: What was predicted. Its names stand in the column ``name``, or else where each sequence is from.
        outputs: Probabilities or numbers, batch by batch.
        task: Names the columns: ``probability`` of class 1, the classes or labels, or the targets.
    """
    values = torch.cat(list(outputs)).float().cpu().numpy()
    table = pd.DataFrame(values, columns=columns_of(task))
    table.insert(0, "name", data.titles)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.lower()
    if name.endswith(_PARQUET):
        table.to_parquet(path, index=False)
        return
    separator = next(separator for ending, separator in _SEPARATORS.items() if name.endswith(ending))
    table.to_csv(path, index=False, sep=separator, compression="gzip" if name.endswith(".gz") else None)


def columns_of(task: TaskSpec) -> list[str]:
    """Names of the outputs."""
    if task.kind == "binary":
        return ["probability"]
    if task.class_names:
        return list(task.class_names)
    word = {"multiclass": "class", "multilabel": "label"}.get(task.kind, "target")
    return [f"{word}_{number}" for number in range(task.num_outputs)]
