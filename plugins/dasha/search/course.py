"""The training of one setting, whichever engine carries it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from dasha.data.split import Split
from dasha.metrics import score_of
from dasha.randomness import derive_seed, seeded
from dasha.search.cost import affordable, expected_passes, operations_of
from dasha.search.run_folder import RunFolder
from dasha.search.settings import TuneSettings
from dasha.search.training import Diverged, Learning, cosine_factor, evaluate, make_sgd, set_rate, train_epoch
from dasha.search.trials import Hyperparameters

MakeNetwork = Callable[[Hyperparameters], nn.Module]
# Gradients of numbers are clipped to this length in trials, as in the other stages: unlike those of classes, which have
# bounds, they grow with the error, and of a network with large features nearly every setting would be lost.
_MAX_NORM = 1.0


@dataclass(frozen=True)
class TrialWork:
    """What every trial needs.

    Attributes:
        make_network: Makes a network with the initial weights of a setting; draws them from torch's global generator.
        train: Training data; a trial sees what its network can afford of it.
        validation: Scores the settings.
        shape: Of one input.
        settings: How many, and for how long.
        learning: Task, device, batches.
        seed: Of the run.
        folder: Keeps the journal of the trials, and checkpoints of those that run; they are continued.
    """

    make_network: MakeNetwork
    train: Split
    validation: Split
    shape: tuple[int, ...]
    settings: TuneSettings
    learning: Learning
    seed: int
    folder: RunFolder


def initial_network(make_network: MakeNetwork, hyperparameters: Hyperparameters, *, seed: int) -> nn.Module:
    """The network of a setting as it is before any training, always with the same weights."""
    with seeded(derive_seed(seed, "weights", hyperparameters["seed"])):
        return make_network(hyperparameters)


class Course:
    """The training of one setting, epoch by epoch; what is random in an epoch follows from its number.

    Args:
        work: What every trial needs.
        number: Of the trial.
        hyperparameters: The setting.
        keep: Is given a checkpoint after every epoch.

    Attributes:
        number: As given.
        scores: After every epoch so far; larger is better.
    """

    def __init__(
        self,
        work: TrialWork,
        number: int,
        hyperparameters: Hyperparameters,
        *,
        keep: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._work, self._keep = work, keep
        self.number = number
        self._lr = hyperparameters["lr"]
        self.scores: list[float] = []
        network = initial_network(work.make_network, hyperparameters, seed=work.seed)
        settings = work.settings
        self._split = affordable(
            work.train,
            settings.max_cost,
            passes=expected_passes(settings),
            operations=operations_of(network, work.shape),
        )
        network.to(work.learning.device)
        names = ("lr", "momentum", "weight_decay")
        optimizer = make_sgd(network, **{name: hyperparameters[name] for name in names})
        self._learning = replace(work.learning, max_norm=_MAX_NORM) if work.learning.task.has_numbers else work.learning
        self._network, self._optimizer, self._scaler = network, optimizer, work.learning.scaler()
        self._parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "scaler": self._scaler}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; one of another trial is ignored."""
        if state["number"] == self.number:
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            self.scores = list(state["scores"])

    def reach(self, epoch: int) -> str:
        """Train until so many epochs are done, unless they were before.

        Args:
            epoch: From 1 on, one more than in the call before.

        Returns:
            Why the setting diverged in this epoch; empty if it did not.
        """
        if epoch > len(self.scores):
            try:
                self.scores.append(self._train(epoch))
            except Diverged as reason:
                return str(reason)
            states = {name: part.state_dict() for name, part in self._parts.items()}
            self._keep({"number": self.number, "scores": self.scores, **states})
        if not math.isfinite(self.scores[epoch - 1]):
            return f"{self._work.learning.task.metric} is not a number after {epoch} epochs"
        return ""

    def _train(self, epoch: int) -> float:
        """Score after one more epoch; larger is better."""
        work, settings = self._work, self._work.settings
        if settings.schedule == "cosine":
            set_rate(self._optimizer, self._lr * cosine_factor((epoch - 0.5) / settings.max_resource, warmup=0.0))
        with seeded(derive_seed(work.seed, "trial", self.number, epoch)):
            train_epoch(self._network, self._optimizer, self._split, self._learning, scaler=self._scaler)
        return score_of(work.learning.task, evaluate(self._network, work.validation, work.learning, only_deciding=True))
