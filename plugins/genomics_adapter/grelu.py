"""A searched network in gReLU: trained, evaluated and explained by gReLU's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dasha._optional import require
from dasha.errors import InvalidArgumentError
from dasha.search.model import Ensemble
from dasha.search.plan import NetworkPlan
from dasha.search.result import SearchResult

require("grelu", extra="grelu")

from grelu.lightning import LightningModel  # noqa: E402 - a missing gReLU is answered with the command that installs it
from grelu.model.models import BaseModel  # noqa: E402

_TASKS = {"binary": "binary", "multilabel": "binary", "multiclass": "multiclass", "regression": "regression"}


class DashaLightningModel(LightningModel):  # type: ignore[misc, unused-ignore]
    """gReLU's `LightningModel` around a network that a search found.

    Its parameters are plain, so that ``load_from_checkpoint`` rebuilds it. Outputs are ``(N, tasks, 1)``, as gReLU has
    them; the searched hyperparameters apply where ``train_params`` names them (`grelu_model` does so for the rate).

    Args:
        model_params: ``{"model_type": "dasha", "plan": plan.as_dict()}``.
        train_params: As of gReLU.
    """

    def build_model(self) -> None:
        """Make the network."""
        plan = NetworkPlan.of_dict(self.model_params["plan"])
        self.model = BaseModel(plan.build(), _Head(plan.task.num_outputs))


class _Head(nn.Module):
    """The axis of positions that gReLU expects behind the tasks.

    Args:
        n_tasks: Outputs of the network.
    """

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.n_tasks = self.in_channels = n_tasks

    def forward(self, outputs: Tensor) -> Tensor:
        """``(N, tasks)`` to ``(N, tasks, 1)``."""
        return outputs.unsqueeze(-1)


def grelu_model(found: Any, *, train_params: Mapping[str, Any] | None = None, is_trained: bool = True) -> Any:
    """A gReLU model of what was found.

    Args:
        found: A fitted estimator of this package, a finished `dasha.Dasha`, or a `dasha.search.result.SearchResult`.
        train_params: As of gReLU; task, loss and learning rate follow from the search where they are not given.
        is_trained: Whether the weights of a finished run are taken over; a search alone has none.

    Raises:
        InvalidArgumentError: If the task is none of gReLU's, or weights of an ensemble are to be taken over.
        OptionalDependencyError: If gReLU is missing.
    """
    plan, hyperparameters, network = _parts(found)
    if plan.task.kind not in _TASKS:
        raise InvalidArgumentError(f"kind={plan.task.kind!r} is no task of gReLU; it has {', '.join(_TASKS)}")
    task = _TASKS[plan.task.kind]
    loss = {"binary": "bce", "multiclass": "ce"}.get(task, plan.task.loss)
    own = {"task": task, "loss": loss, "lr": hyperparameters["lr"], "optimizer": "sgd", "checkpoint": True}
    params = {"model_type": "dasha", "plan": plan.as_dict()}
    model = DashaLightningModel(params, {**own, **dict(train_params or {})})
    if is_trained and isinstance(network, Ensemble):
        raise InvalidArgumentError(
            f"the model is the mean of {len(network.members)} networks, but gReLU's holds one; fit with "
            "is_ensemble=False, or take the network without its weights, is_trained=False"
        )
    if is_trained and network is not None:
        model.model.embedding.load_state_dict(network.state_dict())
    return model.eval()


def _parts(found: Any) -> tuple[NetworkPlan, Mapping[str, Any], nn.Module | None]:
    if isinstance(found, SearchResult):
        return found.plan, found.hyperparameters, None
    if hasattr(found, "plan_"):
        return found.plan_, found.hyperparameters_, found.network_
    from dasha.search.found import load_search

    return load_search(found.run_dir).plan, found.hyperparameters, found.model
