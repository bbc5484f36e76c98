"""Stage 2: hyperparameters by asynchronous successive halving.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, through Optuna in this process, or
through Ray Tune on a cluster; both try the same settings and leave the same record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from optuna.study import Study
from optuna.trial import Trial

from dasha._optional import require
from dasha._ray import Engine
from dasha.errors import DashaError, InvalidArgumentError
from dasha.metrics import value_of
from dasha.search.course import Course, TrialWork
from dasha.search.progress import Stage
from dasha.search.settings import KERNEL_CHOICES, KERNELS, TuneSettings
from dasha.search.study import end_trial, frozen, is_stopped, next_trial, open_study
from dasha.search.training import Stopwatch
from dasha.search.trials import Hyperparameters, TrialRecord, TuneOutcome

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


def without_dropout(space: Space) -> Space:
    """The same draws, without the dropout of which a module takes no notice."""

    def suggest(trial: Trial) -> Mapping[str, Any]:
        return {name: value for name, value in space(trial).items() if name != "dropout"}

    return suggest


def choosing_kernels(space: Space) -> Space:
    """The same space, where a trial also takes the searched kernels or the backbone's own."""

    def suggest(trial: Trial) -> Mapping[str, Any]:
        return {**space(trial), KERNELS: trial.suggest_categorical(KERNELS, KERNEL_CHOICES)}

    return suggest


def tune(
    work: TrialWork,
    *,
    stage: Stage,
    space: Space | None = None,
    chooses_kernels: bool = False,
    engine: Engine = "local",
) -> TuneOutcome:
    """Try settings, the promising ones for longer.

    Args:
        work: What every trial needs.
        stage: Is told the progress.
        space: Suggests the values of a trial; by default those of the paper.
        chooses_kernels: Whether a trial also takes the searched kernels or the backbone's own.
        engine: ``"local"`` for one trial after the other in this process, ``"ray"`` for a Ray cluster.

    Raises:
        DashaError: If every trial diverged.
        InvalidArgumentError: If the space leaves out a value that training needs.
        OptionalDependencyError: If Ray is asked for and not installed.
        StateFileError: If the journal is damaged.
    """
    settings, folder = work.settings, work.folder
    space = space or paper_space(settings)
    if chooses_kernels:
        space = choosing_kernels(space)
    with folder.reading(_JOURNAL):
        study = open_study(folder.path / _JOURNAL, settings, seed=work.seed)
    state = folder.load_state(CHECKPOINT)
    watch = Stopwatch(0.0 if state is None else state.get("seconds", 0.0))

    def suggest(trial: Trial) -> Hyperparameters:
        hyperparameters = completed(space(trial))
        trial.set_user_attr("hyperparameters", hyperparameters)
        return hyperparameters

    def ended() -> list[TrialRecord]:
        with folder.reading(_JOURNAL):
            trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
            records = [TrialRecord.of_trial(trial) for trial in trials]
        best = max((record.best for record in records), default=-math.inf)
        stage.advance(len(records), f"best {value_of(work.learning.task, best):.4f}" if math.isfinite(best) else "")
        return records

    if engine == "ray":
        require("ray.tune", extra="ray")
        from dasha.search.ray_tuning import run_trials

        def save_seconds() -> None:
            folder.save_state(CHECKPOINT, {"number": None, "seconds": watch.total})

        run_trials(work, study, suggest=suggest, ended=ended, save_seconds=save_seconds)
    while len(records := ended()) < settings.trials:
        trial = next_trial(study)
        _carry_out(work, study, trial, suggest(trial), watch)
    return _outcome(records, watch.total)


def completed(suggested: Mapping[str, Any]) -> Hyperparameters:
    """What a space suggested, as the hyperparameters of a trial.

    Raises:
        InvalidArgumentError: If it leaves out a value that training needs, or gives one that is no number.
    """
    missing = [name for name in _NEEDED if name not in suggested]
    if missing:
        raise InvalidArgumentError(
            f"space gives no {', '.join(missing)}; a trial needs {', '.join(_NEEDED)}, and dropout may be added"
        )
    for name in _NEEDED:
        if not isinstance(suggested[name], Real):
            raise InvalidArgumentError(f"space gives {name}={suggested[name]!r}, but must give a number")
    return dict(suggested)


def _outcome(records: list[TrialRecord], seconds: float) -> TuneOutcome:
    winner = max(records, key=lambda record: (record.best, -record.number))
    if winner.best == -math.inf:
        raise DashaError(
            f"all {len(records)} trials diverged, the first because {records[0].reason}; lower tune.lr, or check the "
            "scale of inputs and targets"
        )
    return TuneOutcome(winner.hyperparameters, winner.best, winner.number, records, seconds)


def _carry_out(work: TrialWork, study: Study, trial: Trial, hyperparameters: Hyperparameters, watch: Stopwatch) -> None:
    """Train a setting until it is complete, pruned or diverged; continues where a checkpoint of it ends.

    The order matters to a process that is killed: the checkpoint of an epoch comes before its report, the report
    before the pruner's decision, and that before the end; each is repeated if it is all that is missing.
    """
    folder = work.folder

    def keep(state: Mapping[str, Any]) -> None:
        folder.save_state(CHECKPOINT, {**state, "seconds": watch.total})

    course = Course(work, trial.number, hyperparameters, keep=keep)
    state = folder.load_state(CHECKPOINT)
    if state is not None:
        with folder.reading(CHECKPOINT):
            course.restore(state)

    def end(outcome: str, reason: str = "") -> None:
        record = TrialRecord(trial.number, hyperparameters, course.scores, outcome, reason)
        end_trial(study, trial, record)
        folder.log("trial", **record.in_short())

    reported = len(frozen(trial).intermediate_values)
    for epoch in range(1, work.settings.max_resource + 1):
        reason = course.reach(epoch)
        if reason:
            return end("diverged", reason)
        if epoch > reported:
            trial.report(max(course.scores[:epoch]), epoch)
        if is_stopped(study, trial, work.settings, epoch):
            return end("pruned", f"not among the best after {epoch} epochs")
    return end("complete")
