"""What TorchGeo's arguments mean to the core."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from lightning.pytorch.utilities import rank_zero_warn
from segmentation_models_pytorch.encoders import get_encoder_names  # type: ignore[import-untyped,unused-ignore]
from timm import is_model

from dasha.arguments import whole_number
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.manager import get_manager
from dasha.tasks import TaskSpec

Arguments = Mapping[str, Any]

OWN_NETWORK = "dasha"
"""The one value of ``model``: the network is searched."""
OUTPUTS = {"multiclass": "num_classes", "multilabel": "num_labels"}
"""What tasks call the number of outputs, where it is not one."""
_OF_TIMM = {"dasha_unet": "unet_2d", "dasha_wrn": "wide_resnet_2d"}
_UNUSED = {
    "model": OWN_NETWORK,
    "weights": None,
    "freeze_backbone": False,
    "freeze_decoder": False,
    "num_filters": 3,  # TorchGeo's default, which its command line passes on
}


def without_networks(given: Arguments, weights: object) -> dict[str, Any]:
    """What replaces arguments that are about a network of TorchGeo's own; a warning names them.

    Args:
        given: Arguments of the task.
        weights: That it was given.

    Raises:
        InvalidArgumentError: If the backbone has the name of one of dasha's networks in timm.
    """
    values = {**given, "weights": weights}
    unused = {name: default for name, default in _UNUSED.items() if (values.get(name) or default) != default}
    if _is_encoder(values["backbone"]):
        unused["backbone"] = "auto"
    if unused:
        shown = ", ".join(f"{name}={values[name]!r}" for name in unused)
        rank_zero_warn(
            f"not used, because the network is searched and has no pretrained weights: {shown}; delete them, or use "
            "TorchGeo's own task for such a network",
            category=DashaWarning,
        )
    return unused


def _is_encoder(name: str) -> bool:
    """Whether a backbone is a network of timm or segmentation_models_pytorch, and none of dasha."""
    if name in get_manager().backbones:
        return False
    in_timm = name.removeprefix("tu-")
    if in_timm.startswith("dasha_"):
        ours = [_OF_TIMM[in_timm]] if in_timm in _OF_TIMM else _OF_TIMM.values()
        raise InvalidArgumentError(
            f"backbone={name!r} is a name in timm, for TorchGeo's own tasks; here it is backbone="
            f"{' or '.join(map(repr, ours))}, or 'auto'"
        )
    return name in get_encoder_names() or is_model(in_timm)


def check_training(given: Arguments, *, losses: Sequence[str]) -> None:
    """Check what concerns the final training alone, which begins long after.

    Args:
        given: Arguments of the task.
        losses: Those that its TorchGeo task has; empty if that cannot be told.

    Raises:
        InvalidArgumentError: If a value is not allowed.
    """
    loss, lr, patience = given["loss"], given["lr"], given["patience"]
    if losses and loss not in losses:
        raise InvalidArgumentError(
            f"loss={loss!r} is none that this task has in the installed TorchGeo; allowed: "
            f"{', '.join(map(repr, losses))}"
        )
    if lr is not None and (not isinstance(lr, int | float) or not 0 < lr < math.inf):
        raise InvalidArgumentError(f"lr is {lr!r}, but must be a number above 0; delete it to use what is found")
    if patience is not None:
        whole_number("patience", patience, minimum=0)


def losses_of(task: type) -> tuple[str, ...]:
    """Losses that the signature of the TorchGeo task behind one of ours names; empty if none does."""
    for cls in task.mro():
        annotations = getattr(vars(cls).get("__init__"), "__annotations__", {})
        if "loss" in annotations:
            return get_args(annotations["loss"])
    return ()


def classification(given: Arguments) -> TaskSpec:
    """One label, or several, for every image."""
    _check_task(given)
    task, loss = given["task"], given["loss"]
    if given.get("ignore_index") is not None:
        raise InvalidArgumentError(
            f"ignore_index={given['ignore_index']!r} is for pixels that do not count, but here images have labels; "
            "delete ignore_index, and leave images of that label out of the data"
        )
    options: dict[str, Any] = {}
    if task != "multilabel":
        options = {"loss": "focal" if loss == "focal" else "", "class_weights": _class_weights(given)}
    elif given.get("pos_weight") is not None and given["architecture"] is None:
        rank_zero_warn(
            "pos_weight counts in the final training alone: the search has no such weight for task='multilabel', and "
            "chooses kernels and learning rate without it",
            category=DashaWarning,
        )
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
    _check_task(given)
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


def _check_task(given: Arguments) -> None:
    """Check the task, and whether its loss fits it."""
    task, loss = given["task"], given["loss"]
    if task not in ("binary", *OUTPUTS):
        raise InvalidArgumentError(f"task={task!r} must be 'binary', 'multiclass' or 'multilabel'")
    if (loss == "ce" and task != "multiclass") or (loss == "bce" and task == "multiclass"):
        right = "ce" if task == "multiclass" else "bce"
        raise InvalidArgumentError(f"loss={loss!r} does not fit task={task!r}; use loss={right!r}")


def _outputs(given: Arguments) -> int:
    """Outputs of the network."""
    task = given["task"]
    if task == "binary":
        return 1
    name = OUTPUTS[task]
    if given[name] is None:
        raise InvalidArgumentError(f"{name} is missing, which task={task!r} needs")
    if task == "multiclass" and given[name] == 1:
        raise InvalidArgumentError(f"{name}=1 must be at least 2 for task={task!r}; use task='binary' for yes or no")
    return whole_number(name, given[name], minimum=1)


def _class_weights(given: Arguments) -> tuple[float, ...]:
    """Weights of the classes where TorchGeo's loss has them, too."""
    if given["loss"] == "ce" and given["class_weights"] is not None:
        return tuple(map(float, given["class_weights"]))
    if given["loss"] == "bce" and given.get("pos_weight") is not None:
        return 1.0, float(given["pos_weight"])
    return ()
