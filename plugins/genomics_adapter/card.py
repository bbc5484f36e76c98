"""The model card of a run: what was learnt from what, how well it does, and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha import Dasha
from dasha.errors import InvalidArgumentError
from dasha.metrics import Metrics, metric_names
from dasha.report.run_record import RunRecord, read_record
from dasha.search.model import load_members, together
from dasha.search.units import Normalize, TargetScale
from dasha.tasks import TaskSpec
from genomics_adapter._fitted import on_device
from genomics_adapter._inputs import batches_of, read_sequences
from genomics_adapter._intervals import finite, over_trainings, with_intervals
from genomics_adapter.leaks import LeakReport
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences.data import SequenceData, SequenceSplits

if TYPE_CHECKING:
    from genomics_adapter._estimator import DashaSequenceEstimator

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
        """Write ``model_card.md`` and ``model_card.json``.

        Returns:
            The Markdown file.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.content, indent=1, allow_nan=False, default=str)
        (folder / "model_card.json").write_text(text + "\n", encoding="utf-8")
        path = folder / "model_card.md"
        path.write_text(self.markdown, encoding="utf-8")
        return path


def model_card(
    run: DashaSequenceEstimator | Dasha | str | Path,
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
) -> ModelCard:
    """Describe a finished run.

    Args:
        run: A fitted estimator, a finished `dasha.Dasha`, or the folder of a run.
        test: Sequences and targets on which nothing was chosen; by default the test part of ``splits``. Targets are as
            the estimator or the run was given them.
        splits: The data, described by where it is from and how it was read.
        leaks: What its parts share; `genomics_adapter.leaks.leak_report` makes it.
        name: Of the model.
        notes: A paragraph on what the model is for.
        resamples: Of the test data, for the intervals.
        seed: Of the draws.
        device: ``"auto"``, or a device of torch.
        network: The module or factory that was the backbone of a run given by its folder, where that is not registered.

    Raises:
        InvalidArgumentError: If the run is not finished, or test data does not fit.
        StateFileError: If there is no run.
    """
    folder = _folder_of(run)
    record = read_record(folder)
    if record.result is None:
        raise InvalidArgumentError(f"the run in {folder} is not finished; finish it first")
    opened = _opened(run, network, is_ensemble=record.config["settings"]["is_ensemble"])
    if test is None and splits is not None:
        test = splits.test
    task = TaskSpec(**record.config["task"])
    measured = None if test is None else _measured(opened, task, _pair(test), resamples=resamples, seed=seed, on=device)
    settings, curves = record.config["settings"], record.result["curves"]
    content = {
        "name": name or f"{task.kind} of DNA sequences",
        "notes": notes,
        "task": record.config["task"],
        "data": _data(record, splits),
        "leaks": None if leaks is None else {**leaks.as_dict(), "text": str(leaks)},
        "architecture": _architecture(record, opened.members[0]),
        "settings": settings,
        "hyperparameters": record.result["hyperparameters"],
        "seconds": record.result["seconds"],
        "trainings": {"count": len(opened.members), "is_ensemble": settings["is_ensemble"]},
        "validation": over_trainings([curve["validation"][-1] for curve in curves if curve["validation"]]),
        "test": measured,
        "versions": {**record.config["versions"], **_versions()},
    }
    return ModelCard(json.loads(json.dumps(content, default=str)))


@dataclass(frozen=True)
class _Opened:
    """Networks, and how sequences and targets become what they take and give.

    Attributes:
        model: What predicts, in the units of the run.
        members: The networks of all final trainings, alone.
        predicting: Makes of one of them what predicts.
        read: Sequences and targets as users have them, as codes or shares and as a tensor.
    """

    model: nn.Module
    members: list[nn.Module]
    predicting: Callable[[nn.Module], nn.Module]
    read: Callable[[Any, Any], tuple[np.ndarray, Tensor]]


def _folder_of(run: Any) -> Path:
    """The folder of a run."""
    if hasattr(run, "model_") and not hasattr(run, "run_"):
        raise InvalidArgumentError("an estimator that was loaded has no run; pass the folder of its run instead")
    own = getattr(run, "run_", run)
    return Path(own.run_dir if isinstance(own, Dasha) else own)


def _opened(run: Any, network: Any, *, is_ensemble: bool) -> _Opened:
    if hasattr(run, "model_"):

        def by_estimator(X: Any, y: Any) -> tuple[np.ndarray, Tensor]:
            return run._read(X), torch.as_tensor(run._encode(y))

        predicting = StrandAverage if run.reverse_complement else _same
        return _Opened(run.model_, run.run_.members, predicting, by_estimator)

    def plain(X: Any, y: Any) -> tuple[np.ndarray, Tensor]:
        return read_sequences(X), torch.as_tensor(np.asarray(y))

    if isinstance(run, Dasha):
        return _Opened(run.model, run.members, _same, plain)
    members = load_members(run, network=network)
    return _Opened(together(members, is_ensemble=is_ensemble), members, _same, plain)


def _same(network: nn.Module) -> nn.Module:
    return network


def _measured(
    opened: _Opened, task: TaskSpec, test: tuple[Any, Any], *, resamples: int, seed: int, on: str
) -> dict[str, Any]:
    """Metrics of the model with intervals, and those of all trainings where there are several."""
    sequences, targets = opened.read(*test)
    outputs, names = _outputs(opened.model, sequences, on), metric_names(task.kind)
    values = with_intervals(task, outputs, targets, names=names, resamples=resamples, seed=seed)
    per_seed: list[dict[str, float]] = []
    for member in opened.members if len(opened.members) > 1 else []:
        metrics = Metrics(task, names)
        metrics.update(_outputs(opened.predicting(member), sequences, on), targets)
        per_seed.append(metrics.compute())
    return {
        "samples": len(outputs),
        "is_strand_average": isinstance(opened.model, StrandAverage),
        "resamples": resamples,
        "metrics": {name: {key: finite(value) for key, value in row.items()} for name, row in values.items()},
        "trainings": over_trainings(per_seed),
    }


def _outputs(model: nn.Module, sequences: np.ndarray, device: str) -> Tensor:
    with on_device(model, device) as (network, where), torch.no_grad():
        return torch.cat([network(part.to(where)).float().cpu() for part in batches_of(sequences, 256)])


def _pair(test: Any) -> tuple[Any, Any]:
    if isinstance(test, SequenceData):
        if test.labels is None:
            raise InvalidArgumentError(f"{test.source} has no labels; the card needs them to measure")
        return test, test.labels
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InvalidArgumentError("test must be SequenceData with labels, or a pair (X, y)")
    return test[0], test[1]


def _data(record: RunRecord, splits: SequenceSplits | None) -> dict[str, Any]:
    parts: dict[str, Any] = {key: dict(value) for key, value in record.config["data"].items()}
    if splits is not None:
        for key, part in splits._asdict().items():
            if part is not None:
                about = {"source": str(part.source), "notes": list(part.notes), "description": part.describe()}
                parts.setdefault(key, {"count": len(part), "shape": [4, part.length]}).update(about)
    return parts


def _architecture(record: RunRecord, model: nn.Module) -> dict[str, Any]:
    assert record.result is not None
    around = [part for part in model.children() if isinstance(part, Normalize | TargetScale)]
    plain = next(part for part in model.children() if part not in around) if around else model
    layers = [
        {
            "name": name,
            "channels": [layer.in_channels, layer.out_channels],
            "kernel_size": layer.kernel_size[0],
            "dilation": layer.dilation[0],
            "reach": (layer.kernel_size[0] - 1) * layer.dilation[0] + 1,
            "is_searched": name in record.result["architecture"],
        }
        for name, layer in plain.named_modules()
        if isinstance(layer, nn.Conv1d)
    ]
    result = record.result
    return {
        "backbone": result["backbone"],
        "kernels": record.kernels,
        "parameters": result["parameters"],
        "flops": result["flops"],
        "layers": layers,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
