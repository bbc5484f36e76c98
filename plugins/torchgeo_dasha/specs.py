"""What TorchGeo's arguments mean to the core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec

Arguments = Mapping[str, Any]

OWN_NETWORK = "dasha"
"""The one value of ``model``: the network is searched."""


def refuse_networks(model: str, host: Arguments) -> None:
    """Refuse arguments that are about a network of TorchGeo's own.

    Args:
        model: As given.
        host: The other arguments that TorchGeo's task gets.

    Raises:
        InvalidArgumentError: Naming the line to delete.
    """
    given = {
        "model": "" if model == OWN_NETWORK else repr(model),
        "weights": repr(host["weights"]) if host.get("weights") else "",
        **{name: "True" if host.get(name) else "" for name in ("freeze_backbone", "freeze_decoder")},
    }
    for name, value in given.items():
        if value:
            raise InvalidArgumentError(
                f"{name}={value} is about a network of TorchGeo's, but here the network is searched and has no "
                f"pretrained weights; delete {name}, or use TorchGeo's own task with model='dasha_wrn'"
            )


def classification(given: Arguments) -> TaskSpec:
    """One label, or several, for every image."""
    task, loss = given["task"], given["loss"]
    if (loss == "ce" and task != "multiclass") or (loss == "bce" and task == "multiclass"):
        right = "ce" if task == "multiclass" else "bce"
        raise InvalidArgumentError(f"loss={loss!r} does not fit task={task!r}; use loss={right!r}")
    options: dict[str, Any] = {}
    if task != "multilabel":
        options = {"loss": "focal" if loss == "focal" else "", "class_weights": _class_weights(given)}
    if given.get("ignore_index") is not None:
        options["ignore_index"] = given["ignore_index"]
    return TaskSpec(task, given["in_channels"], _outputs(given), **options)


def dense_classes(given: Arguments, *, images: int = 1) -> TaskSpec:
    """A class for every position; yes or no is two classes.

    Args:
        given: Arguments of the task.
        images: How many images an input has, one behind the other.
    """
    task, loss = given["task"], given["loss"]
    if task == "multilabel":
        raise InvalidArgumentError(
            "task='multilabel' has several labels for every position, which cannot be searched for; use one task for "
            "every label, or TorchGeo's own with backbone='tu-dasha_wrn'"
        )
    if (loss == "ce" and task != "multiclass") or (loss == "bce" and task == "multiclass"):
        right = "ce" if task == "multiclass" else "bce"
        raise InvalidArgumentError(f"loss={loss!r} does not fit task={task!r}; use loss={right!r}")
    return TaskSpec(
        "segmentation",
        images * given["in_channels"],
        2 if task == "binary" else _outputs(given),
        loss="focal" if loss == "focal" else "",
        class_weights=_class_weights(given),
        ignore_index=given["ignore_index"],
    )


def numbers(given: Arguments, *, is_dense: bool) -> TaskSpec:
    """Numbers for every image, or for every position."""
    return TaskSpec(
        "dense_regression" if is_dense else "regression",
        given["in_channels"],
        given["num_outputs"],
        loss=given["loss"],
    )


def _outputs(given: Arguments) -> int:
    """Outputs of the network."""
    task = given["task"]
    if task == "binary":
        return 1
    name = {"multiclass": "num_classes", "multilabel": "num_labels"}.get(task)
    if name is None:
        raise InvalidArgumentError(f"task={task!r} must be 'binary', 'multiclass' or 'multilabel'")
    if given[name] is None:
        raise InvalidArgumentError(f"{name} is missing, which task={task!r} needs")
    return int(given[name])


def _class_weights(given: Arguments) -> tuple[float, ...]:
    """Weights of the classes where TorchGeo's loss has them, too."""
    if given["loss"] == "ce" and given["class_weights"] is not None:
        return tuple(map(float, given["class_weights"]))
    if given["loss"] == "bce" and given.get("pos_weight") is not None:
        return 1.0, float(given["pos_weight"])
    return ()
