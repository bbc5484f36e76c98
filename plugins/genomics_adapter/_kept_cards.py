"""Model cards that a training leaves in the folder of its run, without test data."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasha.errors import DashaWarning
from dasha.metrics import metric_names
from dasha.report.run_record import read_record
from dasha.search.found import load_search
from dasha.search.run_folder import PLAN_FILE, RESULT_FILE
from genomics_adapter._card_source import source_of
from genomics_adapter._intervals import over_trainings
from genomics_adapter._known_parts import KnownParts
from genomics_adapter.card import JSON_FILE, ModelCard, card_of, model_card
from genomics_adapter.leaks import LeakReport
from genomics_adapter.sequences.data import SequenceData, SequenceSplits, Source

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from genomics_adapter._estimator import DashaSequenceEstimator
    from genomics_adapter.tasks import DashaSequenceTask


def is_described(folder: str | Path) -> bool:
    """Whether there is a finished run with a card, which a fit that trains nothing would only rob of its test data."""
    return all((Path(folder) / name).is_file() for name in (RESULT_FILE, JSON_FILE))


def keep_card(folder: Path, make: Callable[[], ModelCard | None]) -> None:
    """Write a model card beside what was trained, which counts whether that succeeds or not.

    Args:
        folder: Of the run.
        make: Describes the run; None where there is nothing to describe.

    Warns:
        DashaWarning: If the card cannot be made or written, with the reason.
    """
    try:
        card = make()
        if card is not None:
            card.write(folder)
    except Exception as error:
        warnings.warn(
            f"no model card is written into {folder} ({type(error).__name__}: {error}); the training is not touched by "
            "it, and genomics_adapter.card.model_card makes one",
            DashaWarning,
            stacklevel=3,
        )


def part_of(X: Any, name: str, sequences: np.ndarray, targets: np.ndarray, rows: np.ndarray | None) -> SequenceData:
    """What an estimator learnt from or chose on, with the places of its sequences.

    Args:
        X: As the user has it.
        name: Of the argument.
        sequences: Codes ``(N, L)``.
        targets: Of the network; class numbers or others.
        rows: Their numbers in ``X``; None for all.
    """
    source, notes = (X.source, X.notes) if isinstance(X, SequenceData) else (Source(name), ())
    if rows is not None:
        source = source.subset(rows)
        notes += (f"a share of {name}, drawn at random; the same sequence, on either strand, is in one part only",)
    return SequenceData(sequences, targets, source=source, notes=notes)


def keep_described(estimator: DashaSequenceEstimator, parts: Sequence[SequenceData] | None, *, with_card: bool) -> None:
    """Keep what an estimator that has just been fitted learnt from, and its card, in the folder of its run.

    Args:
        estimator: Fitted.
        parts: Training and validation data; None where they are no codes.
        with_card: Whether there is a card to write.

    Warns:
        DashaWarning: As `keep_card`.
    """
    folder = estimator.run_.run_dir

    def card() -> ModelCard | None:
        if parts is not None:
            named = (replace(part, class_names=estimator.task_.class_names) for part in parts)
            KnownParts.of(SequenceSplits(*named)).write(folder)
        return model_card(estimator) if with_card else None

    keep_card(folder, card)


def card_of_task(task: DashaSequenceTask, folder: Path) -> ModelCard | None:
    """The card of a task that a trainer has just trained; None where its search is not in the folder.

    Validation metrics are those that the trainer measured last: nothing is computed, on one process of several.
    """
    if not (folder / PLAN_FILE).is_file() or json.dumps(load_search(folder).as_dict()) != task.hparams["found"]:
        return None
    data, shapes = _data_of(task.trainer), read_record(folder).config["data"]
    leaks = getattr(data, "leaks", None)
    source = source_of(task, length=shapes["train"]["shape"][-1])
    measured = {name: task.trainer.callback_metrics.get(f"val_{name}") for name in metric_names(task.task.kind)}
    values = {name: float(value) for name, value in measured.items() if value is not None}
    sizes = {name: {key: one[key] for key in ("count", "shape")} for name, one in shapes.items()}
    told = {
        **source.told,
        "data": {} if source.parts else sizes,
        "validation": over_trainings([values]) if values else {},
    }
    return card_of(
        replace(source, told=told),
        leaks=leaks if isinstance(leaks, LeakReport) else None,
        ambiguous=getattr(getattr(data, "train_data", None), "ambiguous", "zeros"),
    )


def parts_of(trainer: Trainer) -> KnownParts | None:
    """What a trainer learnt from and chose on; None where its datamodule does not tell."""
    splits = getattr(_data_of(trainer), "splits", None)
    return KnownParts.of(splits) if isinstance(splits, SequenceSplits) else None


def _data_of(trainer: Trainer) -> Any:
    """The datamodule with the parts, which that of files has inside."""
    data = getattr(trainer, "datamodule", None)
    return getattr(data, "inner", None) or data
