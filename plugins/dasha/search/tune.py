"""Stage 2: hyperparameters by asynchronous successive halving.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, through Optuna.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import nn

from dasha.data.split import Split
from dasha.errors import DashaError
from dasha.metrics import score_of
from dasha.randomness import derive_seed, seeded
from dasha.search.budgets import TuneSettings
from dasha.search.progress import Stage
from dasha.search.run_folder import RunFolder
from dasha.search.training import Diverged, Learning, Stopwatch, evaluate, make_sgd, train_epoch

Hyperparameters = dict[str, Any]
MakeNetwork = Callable[[Hyperparameters], nn.Module]
Space = Callable[[Trial], Mapping[str, Any]]

_JOURNAL = "tune/journal.log"
_CHECKPOINT = "tune/trial.pt"
_STUDY = "dasha"


@dataclass(frozen=True)
class TrialRecord:
    """One setting that was tried.

    Attributes:
        number: In the order of trying.
        hyperparameters: The setting.
        scores: Deciding metric after every epoch, turned so that larger is better.
        state: ``"complete"``, ``"pruned"`` or ``"diverged"``.
        reason: Why it ended early.
    """

    number: int
    hyperparameters: Hyperparameters
    scores: list[float]
    state: str
    reason: str = ""

    @property
    def best(self) -> float:
        """Best score; minus infinity if it diverged."""
        return -math.inf if self.state == "diverged" else max(self.scores, default=-math.inf)


@dataclass(frozen=True)
class TuneOutcome:
    """What tuning found.

    Attributes:
        hyperparameters: Of the best trial.
        score: Its best score; larger is better.
        number: Of the best trial.
        trials: All of them.
        seconds: Of work.
    """

    hyperparameters: Hyperparameters
    score: float
    number: int
    trials: list[TrialRecord] = field(repr=False)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> TuneOutcome:
        """What `as_dict` gave, after JSON."""
        return cls(**{**content, "trials": [TrialRecord(**trial) for trial in content["trials"]]})


class _ByNumber(BaseSampler):
    """Draws every value at random from a seed of the trial's number and the value's name: the same after a restart."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """There is none."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one value."""
        sampler = RandomSampler(derive_seed(self._seed, "tune", trial.number, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


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


def tune(
    make_network: MakeNetwork,
    train: Split,
    validation: Split,
    settings: TuneSettings,
    learning: Learning,
    *,
    seed: int,
    folder: RunFolder,
    stage: Stage,
    space: Space | None = None,
) -> TuneOutcome:
    """Try settings, the promising ones for longer.

    Args:
        make_network: Makes a network with the initial weights of a setting; draws them from torch's global generator.
        train: Training data.
        validation: Scores the settings.
        settings: How many, and for how long.
        learning: Task, device, batches.
        seed: Of the run.
        folder: Keeps the journal of the trials, and a checkpoint of the one that runs; continues from them.
        stage: Is told the progress.
        space: Suggests the values of a trial; by default those of the paper.

    Raises:
        DashaError: If every trial diverged.
    """
    space = space or paper_space(settings)
    study = _study(folder.path / _JOURNAL, settings, seed)
    state = folder.load_state(_CHECKPOINT)
    watch = Stopwatch(0.0 if state is None else state["seconds"])
    while True:
        done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
        best = max((_record(trial).best for trial in done), default=-math.inf)
        stage.advance(len(done), f"best {abs(best):.4f}" if math.isfinite(best) else "")
        if len(done) == settings.trials:
            break
        waiting = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        trial = Trial(study, waiting[0]._trial_id) if waiting else study.ask()
        _run(trial, study, space(trial), make_network, train, validation, settings, learning, seed, folder, watch)
    records = [_record(trial) for trial in study.get_trials(deepcopy=False)]
    winner = max(records, key=lambda record: (record.best, -record.number))
    if winner.best == -math.inf:
        raise DashaError(
            f"all {len(records)} trials diverged, the first because {records[0].reason}; lower tune.lr, or check the scale "
            "of inputs and targets"
        )
    return TuneOutcome(winner.hyperparameters, winner.best, winner.number, records, watch.total)


def initial_network(make_network: MakeNetwork, hyperparameters: Hyperparameters, *, seed: int) -> nn.Module:
    """The network of a setting as it is before any training, always with the same weights."""
    with seeded(derive_seed(seed, "weights", hyperparameters["seed"])):
        return make_network(hyperparameters)


def _study(journal: Path, settings: TuneSettings, seed: int) -> Study:
    journal.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(journal)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=settings.min_resource, reduction_factor=settings.reduction_factor
    )
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
        return optuna.create_study(
            storage=storage,
            sampler=_ByNumber(seed),
            pruner=pruner,
            direction="maximize",
            study_name=_STUDY,
            load_if_exists=True,
        )
    finally:
        optuna.logging.set_verbosity(verbosity)


def _cut_torn_line(journal: Path) -> None:
    """A process that was killed while it wrote leaves half a line, after which nothing could be read any more."""
    if journal.exists():
        content = journal.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            journal.write_bytes(whole)


def _run(
    trial: Trial,
    study: Study,
    hyperparameters: Mapping[str, Any],
    make_network: MakeNetwork,
    train: Split,
    validation: Split,
    settings: TuneSettings,
    learning: Learning,
    seed: int,
    folder: RunFolder,
    watch: Stopwatch,
) -> None:
    """Train one setting until it is complete, pruned or diverged; continues where a checkpoint of it ends."""
    hyperparameters = dict(hyperparameters)
    trial.set_user_attr("hyperparameters", hyperparameters)
    network = initial_network(make_network, hyperparameters, seed=seed).to(learning.device)
    optimizer = make_sgd(network, **{name: hyperparameters[name] for name in ("lr", "momentum", "weight_decay")})
    scaler = learning.scaler()
    scores: list[float] = []
    state = folder.load_state(_CHECKPOINT)
    if state is not None and state["number"] == trial.number:
        for part, name in ((network, "network"), (optimizer, "optimizer"), (scaler, "scaler")):
            part.load_state_dict(state[name])
        scores = state["scores"]
    reported = len(trial.storage.get_trial(trial._trial_id).intermediate_values)
    for epoch in range(settings.max_resource):
        if epoch >= len(scores):
            try:
                with seeded(derive_seed(seed, "trial", trial.number, epoch)):
                    train_epoch(network, optimizer, train, learning, scaler=scaler)
                values = evaluate(network, validation, learning, only_deciding=True)
            except Diverged as reason:
                _end(study, trial, folder, scores, "diverged", str(reason))
                return
            scores.append(score_of(learning.task, values))
            folder.save_state(
                _CHECKPOINT,
                {
                    "number": trial.number,
                    "scores": scores,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "seconds": watch.total,
                },
            )
        if not math.isfinite(scores[epoch]):
            _end(study, trial, folder, scores, "diverged", f"{learning.task.metric} is not a number")
            return
        if epoch >= reported:
            trial.report(max(scores[: epoch + 1]), epoch + 1)
        if _is_stopped(study, trial, settings, epoch + 1):
            _end(study, trial, folder, scores[: epoch + 1], "pruned", f"not among the best after {epoch + 1} epochs")
            return
    _end(study, trial, folder, scores, "complete", "")


def _is_stopped(study: Study, trial: Trial, settings: TuneSettings, epoch: int) -> bool:
    """Whether the pruner stops a trial here; asked again after a restart, the answer is the same."""
    rung = _rung(settings, epoch)
    if rung is None:
        return False
    key = f"completed_rung_{rung}"
    own = trial.storage.get_trial(trial._trial_id).system_attrs
    if key not in own:
        return trial.should_prune()
    # The pruner has counted this trial at the rung, and would take the next question for one about the next rung.
    values = [entry.system_attrs[key] for entry in study.get_trials(deepcopy=False) if key in entry.system_attrs]
    promoted = sorted(values, reverse=True)[: max(1, len(values) // settings.reduction_factor)]
    return bool(own[key] < promoted[-1])


def _rung(settings: TuneSettings, epoch: int) -> int | None:
    """Number of the rung that ends with an epoch."""
    rung, end = 0, settings.min_resource
    while end < epoch:
        rung, end = rung + 1, end * settings.reduction_factor
    return rung if end == epoch else None


def _end(study: Study, trial: Trial, folder: RunFolder, scores: list[float], state: str, reason: str) -> None:
    trial.set_user_attr("scores", scores)
    trial.set_user_attr("outcome", state)
    trial.set_user_attr("reason", reason)
    if state == "complete":
        study.tell(trial, max(scores))
    else:
        study.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)
    best = max(scores, default=None)
    folder.log("trial", number=trial.number, state=state, reason=reason, epochs=len(scores), score=best)


def _record(trial: FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        hyperparameters=attributes["hyperparameters"],
        scores=list(attributes["scores"]),
        state=attributes["outcome"],
        reason=attributes["reason"],
    )
