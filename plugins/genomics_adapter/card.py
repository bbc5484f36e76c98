"""The model card of a run: what was learnt from what, how well it does, and what it was made with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha import Dasha
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.metrics import Metrics, metric_names
from dasha.runs import write_whole
from dasha.search.units import Normalize, TargetScale
from dasha.tasks import TaskSpec
from genomics_adapter._card_source import CardSource, source_of
from genomics_adapter._fitted import on_device
from genomics_adapter._inputs import batches_of, check_lengths
from genomics_adapter._intervals import finite, over_trainings, with_intervals
from genomics_adapter._known_parts import KnownParts
from genomics_adapter.encoding import Ambiguous
from genomics_adapter.leaks import LeakReport, leak_report
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences.data import SequenceData, SequenceSplits

if TYPE_CHECKING:
    from genomics_adapter._estimator import DashaSequenceEstimator
    from genomics_adapter.tasks import DashaSequenceTask

JSON_FILE, TEXT_FILE = "model_card.json", "model_card.md"
_PACKAGES = ("tangermeme", "scikit-learn", "lightning", "pyfaidx")


@dataclass(frozen=True)
class ModelCard:
    """A model card.

    Attributes:
        content: Plain values, for JSON.
    """

    content: Mapping[str, Any] = field(repr=False)

    @property
    def markdown(self) -> str:
        """The card as text."""
        from genomics_adapter._card_text import card_text

        return card_text(self.content)

    def write(self, folder: str | Path) -> Path:
        """Write ``model_card.md`` and ``model_card.json``, each whole or as it was before.

        Returns:
            The Markdown file.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.content, indent=1, allow_nan=False, default=str)
        path = folder / TEXT_FILE
        markdown = self.markdown
        write_whole(folder / JSON_FILE, text + "\n")
        write_whole(path, markdown)
        return path


def model_card(
    run: DashaSequenceEstimator | DashaSequenceTask | Dasha | str | Path,
    *,
    test: SequenceData | tuple[Any, Any] | None = None,
    splits: SequenceSplits | None = None,
    leaks: LeakReport | None = None,
    name: str = "",
    notes: str = "",
    resamples: int = 500,
    seed: int = 0,
    device: str = "auto",
    network: Any = None,
    ambiguous: Ambiguous | None = None,
) -> ModelCard:
    """Describe a finished run.

    Args:
        run: A fitted estimator, a trained `genomics_adapter.tasks.DashaSequenceTask`, a finished `dasha.Dasha`, or the
            folder of a run.
        test: Sequences and targets on which nothing was chosen; by default the test part of ``splits``. Targets are as
            the estimator or the run was given them; those of `SequenceData` are classes by their names, where the
            model knows them.
        splits: The data, described by where it is from and how it was read; not needed where the run has kept that, as
            those of the estimators have, and a task that has just been trained on a datamodule.
        leaks: What its parts share, of `genomics_adapter.leaks.leak_report`; by default, they are compared here, test
            data with them.
        name: Of the model.
        notes: A paragraph on what the model is for.
        resamples: Of the test data, for the intervals.
        seed: Of the draws.
        device: ``"auto"``, or a device of torch.
        network: The module or factory that was the backbone of a run given by its folder, where that is not registered.
        ambiguous: How bases that are not certain are shown to the network, see `genomics_adapter.one_hot`; by default
            as the estimator does, or as zeros.

    Raises:
        InvalidArgumentError: If the run is not finished, or test data does not fit.
        StateFileError: If there is no run.

    Warns:
        DashaWarning: If test sequences were learnt from or chosen on.
    """
    return card_of(
        source_of(run, network=network, length=None if splits is None else splits.train.length),
        test=splits.test if test is None and splits is not None else test,
        splits=splits,
        leaks=leaks,
        name=name,
        notes=notes,
        resamples=resamples,
        seed=seed,
        device=device,
        ambiguous=getattr(run, "ambiguous", "zeros") if ambiguous is None else ambiguous,
    )


def card_of(
    source: CardSource,
    *,
    ambiguous: Ambiguous,
    test: SequenceData | tuple[Any, Any] | None = None,
    splits: SequenceSplits | None = None,
    leaks: LeakReport | None = None,
    name: str = "",
    notes: str = "",
    resamples: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> ModelCard:
    """Describe networks of which is told how they came about.

    Nothing is measured without ``test``; the other arguments are those of `model_card`.
    """
    told, task = source.told, TaskSpec(**source.told["task"])
    own = () if splits is None else splits.train.class_names or splits.train.label_names
    names = task.class_names or (own if len(own) == task.classes else ())
    measured, codes = None, None
    if test is not None:
        read = _read(source, test)
        measured = _measured(source, task, read, ambiguous, resamples=resamples, seed=seed, on=device)
        codes = read[0] if read[0].ndim == 2 else None  # shares of bases cannot be compared
    parts = source.parts if splits is None else KnownParts.of(splits)
    leaks = _compared(parts, splits, codes) if leaks is None else leaks
    validation = told["validation"]
    if validation is None and splits is not None and splits.validation is not None:
        read = _read(source, splits.validation)
        found = _measured(source, task, read, ambiguous, resamples=0, seed=0, on=device)
        validation = over_trainings([{name: row["value"] for name, row in found["metrics"].items()}])
    content = {
        "name": name or f"{task.kind} of DNA sequences",
        "notes": notes,
        **told,
        "task": {**told["task"], "class_names": names},
        "data": _data(told["data"], parts, splits),
        "leaks": None if leaks is None else {**leaks.as_dict(), "text": str(leaks)},
        "architecture": {
            **told["architecture"],
            "layers": _layers(source.members[0], told["architecture"]["searched"]),
        },
        "ambiguous": ambiguous,
        "trainings": {"count": len(source.members), "is_ensemble": told["settings"]["is_ensemble"]},
        "validation": validation or {},
        "test": measured,
        "versions": {**told["versions"], **_versions()},
    }
    return ModelCard(json.loads(json.dumps(content, default=str)))


def _measured(
    source: CardSource,
    task: TaskSpec,
    read: tuple[np.ndarray, Tensor],
    ambiguous: Ambiguous,
    *,
    resamples: int,
    seed: int,
    on: str,
) -> dict[str, Any]:
    """Metrics of the model with intervals, and those of all trainings where there are several."""
    sequences, targets = read
    outputs, names = _outputs(source.model, sequences, ambiguous, on), metric_names(task.kind)
    values = with_intervals(task, outputs, targets, names=names, resamples=resamples, seed=seed)
    per_seed: list[dict[str, float]] = []
    for member in source.members if len(source.members) > 1 else []:
        metrics = Metrics(task, names)
        metrics.update(_outputs(source.predicting(member), sequences, ambiguous, on), targets)
        per_seed.append(metrics.compute())
    return {
        "samples": len(outputs),
        "is_strand_average": isinstance(source.model, StrandAverage),
        "resamples": resamples,
        "metrics": {name: {key: finite(value) for key, value in row.items()} for name, row in values.items()},
        "trainings": over_trainings(per_seed),
    }


def _outputs(model: nn.Module, sequences: np.ndarray, ambiguous: Ambiguous, device: str) -> Tensor:
    batches = batches_of(sequences, 256, ambiguous=ambiguous)
    with on_device(model, device) as (network, where), torch.no_grad():
        kind = next(network.parameters(), torch.empty(0)).dtype  # a trainer may have trained in another precision
        return torch.cat([network(part.to(where, kind)).float().cpu() for part in batches])


def _read(source: CardSource, test: Any) -> tuple[np.ndarray, Tensor]:
    sequences, targets = source.read(*_pair(source, test))
    check_lengths(sequences, targets, " of test")
    return sequences, targets


def _pair(source: CardSource, test: Any) -> tuple[Any, Any]:
    if isinstance(test, SequenceData):
        return test, source.labels_of(test)
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InvalidArgumentError("test must be SequenceData with labels, or a pair (X, y)")
    return test[0], test[1]


def _compared(parts: KnownParts | None, splits: SequenceSplits | None, test: np.ndarray | None) -> LeakReport | None:
    """What the parts share with one another and with test sequences ``(N, L)``."""
    if parts is None:
        return None
    report = parts.leaks
    if splits is not None and splits.test is not None:
        report = leak_report(**splits._asdict())  # shows some of them
    elif test is not None:
        report = LeakReport((*report.pairs, *parts.shared_with_test(test)))
    shared = LeakReport(tuple(pair for pair in report.pairs if pair.second == "test"))
    if shared.count:
        warnings.warn(
            f"test data is not apart from what was learnt from and chosen on:\n{shared}\nmeasure on other data",
            DashaWarning,
            stacklevel=4,
        )
    return report


def _data(known: Mapping[str, Any], parts: KnownParts | None, splits: SequenceSplits | None) -> dict[str, Any]:
    about = {} if parts is None else dict(parts.about)
    if splits is not None and splits.test is not None:
        about["test"] = splits.test.about()
    return {key: {**about.get(key, {}), **known.get(key, {})} for key in dict.fromkeys([*known, *about])}


def _layers(model: nn.Module, searched: Sequence[str]) -> list[dict[str, Any]]:
    """Every convolution of a network."""
    around = [part for part in model.children() if isinstance(part, Normalize | TargetScale)]
    plain = next(part for part in model.children() if part not in around) if around else model
    return [
        {
            "name": name,
            "channels": [layer.in_channels, layer.out_channels],
            "kernel_size": layer.kernel_size[0],
            "dilation": layer.dilation[0],
            "reach": (layer.kernel_size[0] - 1) * layer.dilation[0] + 1,
            "is_searched": name in searched,
        }
        for name, layer in plain.named_modules()
        if isinstance(layer, nn.Conv1d)
    ]


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
