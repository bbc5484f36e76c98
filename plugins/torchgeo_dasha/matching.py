"""Whether a task and its data mean the same, said in TorchGeo's words before anything is searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dasha.data.names import some
from dasha.data.split import LoaderSplit
from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from dasha.tasks import TaskSpec


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
