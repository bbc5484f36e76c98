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
from dasha.metrics import metric_names
from dasha.report.run_record import RunRecord, read_record
from dasha.search.model import load_model
from dasha.tasks import TaskSpec
from genomics_adapter._fitted import on_device
from genomics_adapter._inputs import batches_of, read_sequences
from genomics_adapter._intervals import with_intervals
from genomics_adapter.leaks import LeakReport
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences.data import SequenceData, SequenceSplits

if TYPE_CHECKING:
    from genomics_adapter.estimator import DashaSequenceEstimator

Reader = Callable[[Any, Any, str], tuple[Tensor, Tensor]]
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

    Raises:
        InvalidArgumentError: If the run is not finished, or test data does not fit.
        StateFileError: If there is no run.
    """
    folder = _folder_of(run)
    record = read_record(folder)
    if record.result is None:
        raise InvalidArgumentError(f"the run in {folder} is not finished; finish it first")
    model, read = _opened(run)
    if test is None and splits is not None:
        test = splits.test
    task = TaskSpec(**record.config["task"])
    measured = None
    if test is not None:
        outputs, targets = read(*_pair(test), device)
        names = metric_names(task.kind)
        values = with_intervals(task, outputs, targets, names=names, resamples=resamples, seed=seed)
        finite = {key: {k: _finite(v) for k, v in row.items()} for key, row in values.items()}
        measured = {"samples": len(outputs), "resamples": resamples, "metrics": finite}
    content = {
        "name": name or f"{task.kind} of DNA sequences",
        "notes": notes,
        "task": record.config["task"],
        "data": _data(record, splits),
        "leaks": None if leaks is None else {**leaks.as_dict(), "text": str(leaks)},
        "architecture": _architecture(record, model),
        "settings": record.config["settings"],
        "hyperparameters": record.result["hyperparameters"],
        "seconds": record.result["seconds"],
        "validation": (record.result["curves"][0]["validation"] or [None])[-1],
        "test": measured,
        "versions": {**record.config["versions"], **_versions()},
    }
    return ModelCard(json.loads(json.dumps(content, default=str)))


def _folder_of(run: Any) -> Path:
    """The folder of a run."""
    if hasattr(run, "model_") and not hasattr(run, "run_"):
        raise InvalidArgumentError("an estimator that was loaded has no run; pass the folder of its run instead")
    own = getattr(run, "run_", run)
    return Path(own.run_dir if isinstance(own, Dasha) else own)


def _opened(run: Any) -> tuple[nn.Module, Reader]:
    """The network, and how sequences and targets become its outputs and its targets."""
    if hasattr(run, "model_"):
        # In the units of the run, which its metrics have, too.
        network = StrandAverage(run.network_) if run.reverse_complement else run.network_

        def by_estimator(X: Any, y: Any, device: str) -> tuple[Tensor, Tensor]:
            return _outputs(network, run._read(X), device), torch.as_tensor(run._encode(y))

        return run.network_, by_estimator
    model = run.model if isinstance(run, Dasha) else load_model(run)

    def plain(X: Any, y: Any, device: str) -> tuple[Tensor, Tensor]:
        return _outputs(model, read_sequences(X), device), torch.as_tensor(np.asarray(y))

    return model, plain


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
    layers = [
        {
            "name": name,
            "channels": [layer.in_channels, layer.out_channels],
            "kernel_size": layer.kernel_size[0],
            "dilation": layer.dilation[0],
            "reach": (layer.kernel_size[0] - 1) * layer.dilation[0] + 1,
            "is_searched": name in record.result["architecture"],
        }
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv1d)
    ]
    result = record.result
    return {
        "backbone": result["backbone"],
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


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
