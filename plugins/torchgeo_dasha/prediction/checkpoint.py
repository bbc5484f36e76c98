"""Trained networks from files; nothing in them is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dasha.errors import InvalidArgumentError
from dasha.metrics import prediction_of
from dasha.tasks import TaskSpec
from torchgeo_dasha._compat import ChangeDetection, Regression
from torchgeo_dasha.inputs import CLASS_KEY, KEY, NORMALIZATION_KEY, SIZE_KEY, UNKNOWN, InputSpec, Normalization
from torchgeo_dasha.specs import OWN_NETWORK
from torchgeo_dasha.timm_models import register_network  # and with it dasha_wrn and dasha_unet

_OURS = ("torchgeo.", "torchgeo_dasha.")
_OF_PAIRS = ("fcsiam", "changevit")  # to which TorchGeo's task hands both images as they are
_CLASSES = ("binary", "multiclass", "multilabel", "segmentation")


@dataclass(frozen=True)
class Trained:
    """A network and what is known of it.

    Attributes:
        network: In evaluation mode, on the CPU.
        in_channels: Bands that it takes, of both images where it tells what changed; None if the file does not say.
        is_sigmoid: Whether every output stands for itself.
        class_names: Of the outputs; may be empty.
        inputs: How its inputs were made, if the file says so.
        normalization: How their bands were normalised, likewise.
        why_unknown: Why the file does not say the latter, if it says this.
        image_size: Height and width of the images trained on, if the file says so and each has one target.
        normalizes: Whether the network normalises its inputs itself.
        fill: What it takes for no data, for every band, if it normalises.
        is_number: Whether outputs are numbers in the units of the targets.
    """

    network: nn.Module
    in_channels: int | None
    is_sigmoid: bool
    class_names: tuple[str, ...] = ()
    inputs: InputSpec | None = None
    normalization: Normalization | None = None
    why_unknown: str = ""
    image_size: tuple[int, int] | None = None
    normalizes: bool = False
    fill: tuple[float, ...] = ()
    is_number: bool = False


class Expected(nn.Module):
    """Expected numbers, where the network of a run gives them or their logarithms.

    Args:
        network: Of the run.
        task: What its outputs mean.
    """

    def __init__(self, network: nn.Module, task: TaskSpec) -> None:
        super().__init__()
        self.network, self._task = network, task

    def forward(self, x: Tensor) -> Tensor:
        """Inputs to numbers ``(N, num_outputs, …)``."""
        return prediction_of(self._task, self.network(x))


class OneBehindOther(nn.Module):
    """A network of two images ``(N, 2, C, H, W)`` that takes them one behind the other.

    Args:
        network: Of a task.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Inputs ``(N, 2 * C, H, W)`` to outputs."""
        outputs: Tensor = self.network(x.reshape(len(x), 2, -1, *x.shape[2:]))
        return outputs


def load_trained(
    path: Path, *, task: str | None = None, architectures: Mapping[str, str | Path] | None = None
) -> Trained:
    """Read a checkpoint of TorchGeo, or a run folder of dasha.

    Args:
        path: A ``.ckpt`` file of a TorchGeo task; or a run folder, or its ``model.safetensors``.
        task: Class of the task, such as ``mypackage.MyTask``, where the checkpoint names none, or one that is neither
            TorchGeo's nor ours.
        architectures: Run folders of the searched networks that the checkpoint's task has by name, as
            `RegisterNetworks` takes them; ``dasha_wrn`` and ``dasha_unet`` are known.

    Raises:
        InvalidArgumentError: If it is anything else, or needs ``task`` or ``architectures``.
        StateFileError: If a run folder cannot be read.
    """
    if path.is_dir() or path.suffix == ".safetensors":
        return _of_run(path)
    for name, folder in (architectures or {}).items():
        register_network(name, folder)
    content = _read(path)
    hyperparameters = dict(content["hyper_parameters"])
    cls = _task_class(path, hyperparameters, task)
    is_number = issubclass(cls, Regression)
    has_classes = any(hyperparameters.get(name) for name in ("num_classes", "num_labels"))
    if not (is_number or has_classes or hyperparameters.get("task") in _CLASSES):
        raise InvalidArgumentError(
            f"{path} holds {cls.__name__}, which gives neither classes nor numbers; only these can be mapped"
        )
    try:
        # Without an instantiator, Lightning calls the class itself: no other class that the file names is imported.
        module = cls.load_from_checkpoint(path, map_location="cpu", weights_only=True, _instantiator=None)
    except Exception as error:
        raise InvalidArgumentError(
            f"{path} does not fit {cls.__name__} ({type(error).__name__}: {error}); name its class with task, or "
            "the run folder of a searched network that it has by name with architecture, as NAME=FOLDER"
        ) from error
    inputs = _inputs(content)
    channels = hyperparameters.get("in_channels") or (len(inputs.bands) if inputs else None)
    normalization = _normalization(content, inputs)
    network: nn.Module = module
    if issubclass(cls, ChangeDetection):
        normalization = _of_both(normalization)
        channels = 2 * hyperparameters["in_channels"]
        if str(hyperparameters.get("model")).startswith(_OF_PAIRS):
            network = OneBehindOther(module)
    is_sigmoid = hyperparameters.get("task") in ("binary", "multilabel")
    names = _names_of_outputs(inputs.class_names if inputs else (), hyperparameters)
    size = content.get(SIZE_KEY)
    return Trained(
        network.eval(),
        channels,
        is_sigmoid,
        names,
        inputs,
        normalization,
        why_unknown="" if inputs else content.get(NORMALIZATION_KEY, {}).get(UNKNOWN, ""),
        image_size=size and (size[0], size[1]),
        is_number=is_number,
    )


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InvalidArgumentError(
            f"checkpoint={str(path)!r} does not exist; give a .ckpt file or a run folder of dasha"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgumentError(
            f"{path} is no checkpoint that can be read without executing code ({reason}); save it with Lightning, with "
            "numbers, texts and lists as hyperparameters"
        ) from error
    if not isinstance(content, Mapping) or not {"pytorch-lightning_version", "state_dict", "hyper_parameters"} <= set(
        content
    ):
        raise InvalidArgumentError(f"{path} is no checkpoint of a TorchGeo task; train with torchgeo fit, or Lightning")
    return content


def _task_class(path: Path, hyperparameters: Mapping[str, Any], task: str | None) -> Any:
    from lightning.pytorch import LightningModule

    name = task or hyperparameters.get(CLASS_KEY)
    if not isinstance(name, str):
        is_ours = hyperparameters.get("model") == OWN_NETWORK
        example = "torchgeo_dasha.DashaClassificationTask" if is_ours else "torchgeo.trainers.ClassificationTask"
        raise InvalidArgumentError(f"{path} does not say what class it is of; name it with task, such as {example}")
    if task is None and not name.startswith(_OURS):
        raise InvalidArgumentError(
            f"{path} is of class {name}, which is not TorchGeo's nor ours and is not imported unasked; if you trust "
            f"it, pass task={name!r}"
        )
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgumentError(f"class {name} cannot be imported ({error}); name another with task") from error
    if not (isinstance(cls, type) and issubclass(cls, LightningModule)):
        raise InvalidArgumentError(f"{name} is no task, that is no LightningModule; name another with task")
    return cls


def _inputs(content: Mapping[str, Any]) -> InputSpec | None:
    """What our datamodules, which are stored under their own names, said of the inputs."""
    found = [value[KEY] for value in content.values() if isinstance(value, Mapping) and KEY in value]
    return InputSpec.of_dict(found[0]) if found else None


def _normalization(content: Mapping[str, Any], inputs: InputSpec | None) -> Normalization | None:
    """What our datamodules said, or what our tasks noted of others."""
    if inputs is not None:
        return Normalization(inputs.mean, inputs.std)
    stored = content.get(NORMALIZATION_KEY)
    return None if stored is None or UNKNOWN in stored else Normalization.of_dict(stored)


def _of_both(normalization: Normalization | None) -> Normalization | None:
    """Of one image behind the other; one number holds for all bands anyway."""
    if normalization is None:
        return None
    mean, std = (values * 2 if len(values) > 1 else values for values in (normalization.mean, normalization.std))
    return Normalization(mean, std)


def _names_of_outputs(names: tuple[str, ...], hyperparameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Names for all outputs: those that training data had no pixel of, or none that counts, have their numbers."""
    if not names:
        return ()
    outputs = 2 if hyperparameters.get("task") == "binary" else hyperparameters.get("num_classes") or 0
    return names + tuple(map(str, range(len(names), outputs)))


def _of_run(path: Path) -> Trained:
    from dasha.search.model import load_model, read_plan

    if path.is_dir() and (path / "config.json").is_file() and not (path / "model.safetensors").is_file():
        raise InvalidArgumentError(
            f"{path} holds a search, but no trained network; train it first, with dasha fit, or with torchgeo fit and "
            f"architecture={path}, whose .ckpt can be given"
        )
    plan = read_plan(path)
    task = plan.task
    is_number = task.kind in ("regression", "dense_regression")
    network = load_model(path)
    fill = tuple(plan.normalization["mean"]) if plan.normalization else (0.0,) * task.in_channels
    return Trained(
        Expected(network, task) if is_number else network,
        task.in_channels,
        task.kind in ("binary", "multilabel"),
        task.class_names,
        normalizes=True,
        fill=fill,
        is_number=is_number,
    )
