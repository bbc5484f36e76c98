"""Stage 2: hyperparameters by asynchronous successive halving.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, through Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import Trial, TrialState
from torch import nn

from dasha.data.split import Split
from dasha.errors import DashaError, InvalidArgumentError
from dasha.metrics import score_of
from dasha.randomness import derive_seed, seeded
from dasha.search.progress import Stage
from dasha.search.run_folder import RunFolder
from dasha.search.settings import TuneSettings
from dasha.search.study import frozen, is_stopped, next_trial, open_study
from dasha.search.training import Diverged, Learning, Stopwatch, evaluate, make_sgd, train_epoch
from dasha.search.trials import Hyperparameters, TrialRecord, TuneOutcome

MakeNetwork = Callable[[Hyperparameters], nn.Module]
Space = Callable[[Trial], Mapping[str, Any]]

CHECKPOINT = "tune/trial.pt"
_JOURNAL = "tune/journal.log"
_NEEDED = ("lr", "momentum", "weight_decay", "seed")


def paper_space(settings: TuneSettings) -> Space:
    """The search space of the paper with the ranges of the settings; extend it by calling it in a function of yours."""

    def suggest(trial: Trial) -> Mapping[str, Any]:
        return {
            "lr": trial.suggest_float("lr", *settings.lr, log=True),
            "weight_decay": trial.suggest_float("weight_decay", *settings.weight_decay, log=True),
            "momentum": trial.suggest_float("momentum", *settings.momentum),
            "dropout": trial.suggest_categorical("dropout", list(settings.dropout)),
            "seed": trial.suggest_int("seed", 0, settings.seeds - 1),
        }

    return suggest


@dataclass(frozen=True)
class TrialWork:
    """What every trial needs.

    Attributes:
        make_network: Makes a network with the initial weights of a setting; draws them from torch's global generator.
        train: Training data.
        validation: Scores the settings.
        settings: How many, and for how long.
        learning: Task, device, batches.
        seed: Of the run.
        folder: Keeps the journal of the trials, and a checkpoint of the one that runs; they are continued.
    """

    make_network: MakeNetwork
    train: Split
    validation: Split
    settings: TuneSettings
    learning: Learning
    seed: int
    folder: RunFolder


def tune(work: TrialWork, *, stage: Stage, space: Space | None = None) -> TuneOutcome:
    """Try settings, the promising ones for longer.

    Args:
        work: What every trial needs.
        stage: Is told the progress.
        space: Suggests the values of a trial; by default those of the paper.

    Raises:
        DashaError: If every trial diverged.
        InvalidArgumentError: If the space leaves out a value that training needs.
        StateFileError: If the journal is damaged.
    """
    settings, folder = work.settings, work.folder
    space = space or paper_space(settings)
    with folder.reading(_JOURNAL):
        study = open_study(folder.path / _JOURNAL, settings, seed=work.seed)
    state = folder.load_state(CHECKPOINT)
    watch = Stopwatch(0.0 if state is None else state.get("seconds", 0.0))
    while True:
        with folder.reading(_JOURNAL):
            ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
            records = [TrialRecord.of_trial(trial) for trial in ended]
        best = max((record.best for record in records), default=-math.inf)
        stage.advance(len(records), f"best {abs(best):.4f}" if math.isfinite(best) else "")
        if len(records) >= settings.trials:
            break
        trial = next_trial(study)
        _Course(work, study, trial, _complete(space(trial))).run(watch)
    winner = max(records, key=lambda record: (record.best, -record.number))
    if winner.best == -math.inf:
        raise DashaError(
            f"all {len(records)} trials diverged, the first because {records[0].reason}; lower tune.lr, or check the "
            "scale of inputs and targets"
        )
    return TuneOutcome(winner.hyperparameters, winner.best, winner.number, records, watch.total)


def initial_network(make_network: MakeNetwork, hyperparameters: Hyperparameters, *, seed: int) -> nn.Module:
    """The network of a setting as it is before any training, always with the same weights."""
    with seeded(derive_seed(seed, "weights", hyperparameters["seed"])):
        return make_network(hyperparameters)


def _complete(suggested: Mapping[str, Any]) -> Hyperparameters:
    missing = [name for name in _NEEDED if name not in suggested]
    if missing:
        raise InvalidArgumentError(
            f"space gives no {', '.join(missing)}; a trial needs {', '.join(_NEEDED)}, and dropout may be added"
        )
    return dict(suggested)


class _Course:
    """The training of one setting; continues where a checkpoint of it ends."""

    def __init__(self, work: TrialWork, study: Study, trial: Trial, hyperparameters: Hyperparameters) -> None:
        self._work, self._study, self._trial = work, study, trial
        trial.set_user_attr("hyperparameters", hyperparameters)
        network = initial_network(work.make_network, hyperparameters, seed=work.seed).to(work.learning.device)
        names = ("lr", "momentum", "weight_decay")
        optimizer = make_sgd(network, **{name: hyperparameters[name] for name in names})
        self._network, self._optimizer, self._scaler = network, optimizer, work.learning.scaler()
        self._parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "scaler": self._scaler}
        self._scores: list[float] = []
        state = work.folder.load_state(CHECKPOINT)
        with work.folder.reading(CHECKPOINT):
            if state is not None and state["number"] == trial.number:
                for name, part in self._parts.items():
                    part.load_state_dict(state[name])
                self._scores = list(state["scores"])

    def run(self, watch: Stopwatch) -> None:
        """Train until the setting is complete, pruned or diverged.

        The order matters to a process that is killed: the checkpoint of an epoch comes before its report, the report
        before the pruner's decision, and that before the end; each is repeated if it is all that is missing.
        """
        trial, task, scores = self._trial, self._work.learning.task, self._scores
        reported = len(frozen(trial).intermediate_values)
        for epoch in range(1, self._work.settings.max_resource + 1):
            if epoch > len(scores):
                try:
                    scores.append(self._train(epoch))
                except Diverged as reason:
                    self._end("diverged", str(reason))
                    return
                self._save(watch.total)
            if not math.isfinite(scores[epoch - 1]):
                self._end("diverged", f"{task.metric} is not a number after {epoch} epochs")
                return
            if epoch > reported:
                trial.report(max(scores[:epoch]), epoch)
            if is_stopped(self._study, trial, self._work.settings, epoch):
                self._end("pruned", f"not among the best after {epoch} epochs")
                return
        self._end("complete", "")

    def _train(self, epoch: int) -> float:
        """Score after one more epoch; larger is better."""
        work = self._work
        with seeded(derive_seed(work.seed, "trial", self._trial.number, epoch)):
            train_epoch(self._network, self._optimizer, work.train, work.learning, scaler=self._scaler)
        return score_of(work.learning.task, evaluate(self._network, work.validation, work.learning, only_deciding=True))

    def _save(self, seconds: float) -> None:
        states = {name: part.state_dict() for name, part in self._parts.items()}
        number = self._trial.number
        self._work.folder.save_state(
            CHECKPOINT, {"number": number, "scores": self._scores, "seconds": seconds, **states}
        )

    def _end(self, state: str, reason: str) -> None:
        trial, scores = self._trial, self._scores
        for name, value in (("scores", scores), ("outcome", state), ("reason", reason)):
            trial.set_user_attr(name, value)
        best = max(scores, default=-math.inf)
        if state == "complete":
            self._study.tell(trial, best)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)
        values = {"number": trial.number, "state": state, "reason": reason, "epochs": len(scores), "score": best}
        self._work.folder.log("trial", **values)
