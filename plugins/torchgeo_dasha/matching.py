"""Whether a task and its data mean the same, said in TorchGeo's words before anything is searched."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import conv2d

from dasha.data.inspection import inspect
from dasha.data.names import some
from dasha.data.split import LoaderSplit
from dasha.errors import InvalidArgumentError, failures_as
from dasha.randomness import seeded
from dasha.tasks import TaskSpec
from torchgeo_dasha.batches import Prepare
from torchgeo_dasha.specs import OUTPUTS

_PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")  # in which the trainer leaves types of batches as they are


class Zeros(nn.Module):
    """Outputs of the shape that a network gives, all of them 0, from inputs of a type and shape that it takes.

    Args:
        outputs: Number of channels.
        is_dense: Whether there are outputs for every position.
        normalizes: Whether the network normalises its inputs, which makes floats of whole numbers.
    """

    def __init__(self, outputs: int, *, is_dense: bool, normalizes: bool) -> None:
        super().__init__()
        self._outputs, self._is_dense, self._normalizes = outputs, is_dense, normalizes

    def forward(self, x: Tensor) -> Tensor:
        """Inputs ``(N, C, H, W)`` to outputs ``(N, K, H, W)`` or ``(N, K)``."""
        x = x + torch.zeros(1, device=x.device) if self._normalizes else x
        maps = conv2d(x, torch.zeros(self._outputs, x.shape[1], 1, 1, device=x.device))
        return maps if self._is_dense else maps.mean((2, 3))


def check_steps(task: LightningModule, network: nn.Module, splits: Mapping[str, LoaderSplit]) -> None:
    """Try the step of TorchGeo's task on the shapes and types of the first batches; their values have no part in it.

    Args:
        task: Of a trainer; stays as it is. A step of the user's own, which may need anything, is not tried.
        network: Stands for the one that is searched.
        splits: By name.

    Raises:
        InvalidArgumentError: If its loss or its metrics refuse them.
    """
    if not type(task).training_step.__module__.startswith("torchgeo.") or task.trainer.precision not in _PRECISIONS:
        return
    trial: Any = copy.copy(task)  # shares the loss; what is set below is its own
    trial._modules = {**task._modules, "model": network, "train_metrics": copy.deepcopy(task.train_metrics)}
    trial.log = trial.log_dict = lambda *_, **__: None
    for name, split in splits.items():
        prepare = split.prepare
        assert isinstance(prepare, Prepare)

        def tried(batch: Any, name: str = name, prepare: Prepare = prepare) -> Mapping[str, Tensor]:
            handed = prepare.handed(batch)
            _try_step(trial, name, handed, ("image", prepare.target))
            return prepare.pair(handed)

        try:
            with seeded(0):
                list(LoaderSplit(split.loader, prepare=tried, max_batches=1).batches(1, shuffle=False))
        except InvalidArgumentError:
            inspect(prepare.spec, split, name)  # says it better, where the core refuses the data, too
            raise


def _try_step(trial: Any, name: str, batch: Mapping[str, Any], keys: tuple[str, str]) -> None:
    forms = ", ".join(f"{key} {str(batch[key].dtype).removeprefix('torch.')} {tuple(batch[key].shape)}" for key in keys)

    def told(why: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"the step of TorchGeo's task refuses batches for {name} with {forms} ({why}); let the datamodule give "
            "float32 images and targets that its loss and metrics take, int64 for classes, or choose another loss"
        )

    zeros = {key: torch.zeros_like(batch[key], device=trial.device) for key in keys}
    with torch.no_grad(), warnings.catch_warnings(), failures_as(told):
        warnings.simplefilter("ignore")
        trial.training_step({**batch, **zeros}, 0)


def check_classes(given: Mapping[str, Any], spec: TaskSpec, datamodule: object) -> None:
    """Compare the arguments of a task with what its datamodule knows of the classes, if it knows any.

    Args:
        given: Arguments of the task.
        spec: What the task is to the core.
        datamodule: Set up.

    Raises:
        InvalidArgumentError: If images have another number of classes than the task; if pixels have more; if other
            pixels count.
    """
    if not spec.has_classes:
        return
    if spec.is_dense and hasattr(datamodule, "ignore_index") and datamodule.ignore_index != spec.ignore_index:
        raise InvalidArgumentError(
            f"ignore_index={spec.ignore_index} of the task is {datamodule.ignore_index} in the datamodule; pass the "
            "same to both"
        )
    count = getattr(datamodule, "num_classes", None)
    # Names may lack classes that no pixel has, or that do not count.
    if isinstance(count, int) and (count > spec.classes or (count < spec.classes and not spec.is_dense)):
        names = getattr(datamodule, "class_names", ())
        has = f"the data has {count} classes" + (f" ({some(names)})" if names else "")
        if given["task"] != "binary":
            raise InvalidArgumentError(f"num_classes={spec.classes}, but {has}; set num_classes={count}")
        way_out = "supply the other" if count < 2 else f"use task='multiclass', loss='ce' and num_classes={count}"
        raise InvalidArgumentError(f"task='binary' is for 2 classes, but {has}; {way_out}")


def in_words_of(given: Mapping[str, Any], error: InvalidArgumentError) -> InvalidArgumentError:
    """An error of the core about data, with the name that a task has for the number of outputs.

    Args:
        given: Arguments of the task.
        error: Of the core.
    """
    name = OUTPUTS.get(given.get("task", ""), "num_outputs")
    return type(error)(str(error).replace("num_outputs", name))


def check_labels(given: Mapping[str, Any], spec: TaskSpec, splits: Mapping[str, LoaderSplit]) -> None:
    """Look for labels that the arguments of a task do not allow, in one pass over the data.

    Args:
        given: Arguments of the task.
        spec: What the task is to the core.
        splits: By name.

    Raises:
        InvalidArgumentError: If there are such labels.
    """
    if not spec.has_classes:
        return
    for name, split in splits.items():
        with seeded(0):
            batches = split.batches(1, shuffle=False)
            found = {value for _, targets in batches for value in torch.unique(targets).tolist()}
        outside = {value for value in found if not 0 <= value < spec.classes} - {spec.ignore_index}
        if outside:
            raise InvalidArgumentError(_disallowed(given, spec, name, sorted(outside)))


def _disallowed(given: Mapping[str, Any], spec: TaskSpec, name: str, labels: list[int]) -> str:
    """Words about labels, and ways out."""
    told = f"{name} has labels {some(list(map(str, labels)))}, but "
    largest = labels[-1]
    if given["task"] == "binary":
        told += "task='binary' allows 0 and 1; convert them"
        wanted = f"use task='multiclass', loss='ce' and num_classes={largest + 1}"
    else:
        told += f"num_classes={spec.classes} allows 0 to {spec.classes - 1}; convert them"
        wanted = f"set num_classes={largest + 1}"
    ways = [wanted] if largest >= spec.classes else []
    ways += ["pass ignore_index if those pixels do not count"] if spec.is_dense else []
    return ", or ".join([told, *ways])
