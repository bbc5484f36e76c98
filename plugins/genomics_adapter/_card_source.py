"""What a model card is made of: networks, and what is known of how they came about."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha import Dasha
from dasha.errors import InvalidArgumentError
from dasha.report.run_record import RunRecord, kernels_of, read_record
from dasha.search.config import versions
from dasha.search.cost import operations_of
from dasha.search.model import load_members, together
from dasha.tasks import TaskSpec
from genomics_adapter._inputs import read_sequences
from genomics_adapter._intervals import over_trainings
from genomics_adapter._known_parts import KnownParts
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences.data import SequenceData
from genomics_adapter.targets import targets_of

if TYPE_CHECKING:
    from genomics_adapter.tasks import DashaSequenceTask

_SETTINGS = ("budget", "backbone", "overrides", "search", "seed", "reverse_complement")
Read = Callable[[Any, Any], tuple[np.ndarray, Tensor]]


@dataclass(frozen=True)
class CardSource:
    """Networks, how sequences and targets become what they take and give, and what is told of them.

    Attributes:
        told: Task, data, settings, versions, architecture, hyperparameters, seconds, and metrics on validation data,
            None where they are not known.
        model: What predicts, in the units of the run.
        members: The networks of all final trainings, alone.
        predicting: Makes of one of them what predicts.
        read: Sequences and targets as users have them, as codes or shares and as a tensor.
        classes: What users have as the classes, in the order of their numbers; None for the numbers themselves.
        parts: What was learnt from and chosen on; None where that is not known.
    """

    told: Mapping[str, Any]
    model: nn.Module
    members: list[nn.Module]
    predicting: Callable[[nn.Module], nn.Module]
    read: Read
    parts: KnownParts | None = None
    classes: np.ndarray | None = None

    def labels_of(self, data: SequenceData) -> np.ndarray:
        """Labels as `read` takes them; classes are those of the model of the same name.

        Raises:
            InvalidArgumentError: If there are none, or the model does not have a class.
        """
        if self.classes is not None and data.labels is not None and not data.class_names:
            return data.labels
        task = TaskSpec(**self.told["task"])
        if all(map(str.isdecimal, task.class_names)):  # numbers, by which names cannot be found
            task = replace(task, class_names=())
        if task.class_names:
            data = data.with_class_names(task.class_names)
        elif task.has_classes and data.class_names and len(data.class_names) != task.classes:
            raise InvalidArgumentError(
                f"{data.source} has classes {', '.join(data.class_names)}, but the model has {task.classes} without "
                "names; pass a pair (X, y) with their numbers, or fit with class names"
            )
        numbers = targets_of(data, task)
        return numbers if self.classes is None else self.classes[numbers]


def source_of(run: Any, *, network: Any = None, length: int | None = None) -> CardSource:
    """Open a run.

    Args:
        run: What `genomics_adapter.card.model_card` takes.
        network: The backbone of a run given by its folder, where it is not registered.
        length: Bases of a sequence, where the run does not know them.

    Raises:
        InvalidArgumentError: If the run is not finished.
        StateFileError: If there is no run.
    """
    if isinstance(run, nn.Module):
        return _of_task(run, length)  # type: ignore[arg-type]
    folder = _folder_of(run)
    record = read_record(folder)
    told, parts = _told_by(record), KnownParts.read(folder)
    if hasattr(run, "model_"):

        def by_estimator(X: Any, y: Any) -> tuple[np.ndarray, Tensor]:
            return run._read(X), torch.as_tensor(run._encode(y))

        predicting = StrandAverage if run.reverse_complement else _same
        classes = run.classes_ if run.task_.has_classes else None
        return CardSource(told, run.model_, run.run_.members, predicting, by_estimator, parts, classes)
    if isinstance(run, Dasha):
        return CardSource(told, run.model, run.members, _same, _plain, parts)
    members = load_members(run, network=network)
    model = together(members, is_ensemble=record.config["settings"]["is_ensemble"])
    return CardSource(told, model, members, _same, _plain, parts)


def _of_task(task: DashaSequenceTask, length: int | None) -> CardSource:
    """A task that a trainer has trained; its parameters are in it, and no folder is needed."""
    model, network, result = task.model, task.network, task.result
    assert network is not None
    assert result is not None
    settings = {key: task.hparams[key] for key in _SETTINGS}
    told = {
        "task": asdict(task.task),
        "data": {},
        "settings": {**settings, "is_ensemble": False},
        "versions": versions(),
        "architecture": {
            "backbone": result.plan.backbone,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "flops": None if length is None else operations_of(copy.deepcopy(network).cpu(), (4, length)),
            "kernels": kernels_of(settings["search"], result.hyperparameters),
            "searched": list(result.plan.architecture),
        },
        "hyperparameters": result.hyperparameters,
        "seconds": result.seconds,
        "validation": None,
    }
    predicting = StrandAverage if settings["reverse_complement"] else _same
    return CardSource(told, model, [network], predicting, _plain, task.parts)


def _told_by(record: RunRecord) -> dict[str, Any]:
    """What the folder of a finished run says."""
    result = record.result
    if result is None:
        raise InvalidArgumentError(f"the run in {record.path} is not finished; finish it first")
    return {
        **{key: record.config[key] for key in ("task", "data", "settings", "versions")},
        "architecture": {
            **{key: result[key] for key in ("backbone", "parameters", "flops")},
            "kernels": record.kernels,
            "searched": list(result["architecture"]),
        },
        "hyperparameters": result["hyperparameters"],
        "seconds": result["seconds"],
        "validation": over_trainings([curve["validation"][-1] for curve in result["curves"] if curve["validation"]]),
    }


def _folder_of(run: Any) -> Path:
    """The folder of a run."""
    if hasattr(run, "model_") and not hasattr(run, "run_"):
        raise InvalidArgumentError("an estimator that was loaded has no run; pass the folder of its run instead")
    own = getattr(run, "run_", run)
    return Path(own.run_dir if isinstance(own, Dasha) else own)


def _plain(X: Any, y: Any) -> tuple[np.ndarray, Tensor]:
    return read_sequences(X), torch.as_tensor(np.asarray(y))


def _same(network: nn.Module) -> nn.Module:
    return network
