"""Successive halving through Optuna, with every decision the same after a restart.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from dasha.randomness import derive_seed
from dasha.registry import close_matches
from dasha.search.settings import TuneSettings
from dasha.search.trials import TrialRecord

_STUDY = "dasha"


def open_study(journal: Path, settings: TuneSettings, *, seed: int) -> Study:
    """Begin a study, or go on with the one that a journal holds.

    Args:
        journal: File that records every trial; its folder is made.
        settings: Give the rungs, and values of the first trial.
        seed: Of all other values that trials suggest.

    Raises:
        Exception: Of many kinds, if the journal is damaged.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(journal)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=settings.min_resource, reduction_factor=settings.reduction_factor
    )
    with _quiet():
        backend = JournalFileBackend(str(journal), lock_obj=_NoLock())  # type: ignore[arg-type]
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            sampler=_ByNumber(seed, settings.first),
            pruner=pruner,
            direction="maximize",
            study_name=_STUDY,
            load_if_exists=True,
        )


def trial_apart(settings: TuneSettings, *, seed: int) -> Trial:
    """A trial of no study that is kept, which suggests what the first of a run does.

    Args:
        settings: Give values of the first trial.
        seed: Of all other values.
    """
    with _quiet():
        return optuna.create_study(sampler=_ByNumber(seed, settings.first)).ask()


def misfits(first: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Iterator[str]:
    """Why values of the first trial would be drawn nevertheless.

    Args:
        first: Values by name.
        distributions: What trials draw from, by name.
    """
    for name, value in first.items():
        if name not in distributions:
            known = list(distributions)
            yield f"tune.first has {name!r};{close_matches(name, known)} trials suggest {', '.join(map(repr, known))}"
        elif not _has(distributions[name], value):
            allowed = _allowed(distributions[name])
            yield f"tune.first[{name!r}]={value!r} must be {allowed}; change it, or what trials draw {name!r} from"


def _allowed(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(repr, distribution.choices))}"
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    what = "whole number" if isinstance(distribution, IntDistribution) else "number"
    return f"a {what} from {distribution.low:g} to {distribution.high:g}"


def next_trial(study: Study) -> Trial:
    """The trial that an earlier process began and did not end, or a new one."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return Trial(study, waiting[0]._trial_id) if waiting else study.ask()


def open_trials(study: Study, count: int) -> list[Trial]:
    """The trials that have not ended, of so many in all; those that are missing are begun."""
    known = study.get_trials(deepcopy=False)
    waiting = [Trial(study, trial._trial_id) for trial in known if not trial.state.is_finished()]
    return waiting + [study.ask() for _ in range(count - len(known))]


def end_trial(study: Study, trial: Trial, record: TrialRecord) -> None:
    """Write into the journal what came out of a trial."""
    for name, value in (("scores", record.scores), ("outcome", record.state), ("reason", record.reason)):
        trial.set_user_attr(name, value)
    if record.state == "complete":
        study.tell(trial, record.best)
    else:
        study.tell(trial, state=TrialState.PRUNED if record.state == "pruned" else TrialState.FAIL)


def frozen(trial: Trial) -> FrozenTrial:
    """What the journal says about a trial."""
    return trial.storage.get_trial(trial._trial_id)


def is_stopped(study: Study, trial: Trial, settings: TuneSettings, epoch: int) -> bool:
    """Whether successive halving stops a trial whose score of an epoch was reported.

    A trial ends at a rung, after ``min_resource * reduction_factor**n`` epochs, unless its score is among the best
    one in ``reduction_factor`` that have come so far. Asked again after a restart, the answer is the same.

    Args:
        study: The study.
        trial: One of its trials.
        settings: Give the rungs.
        epoch: From 1 on.
    """
    rung = rung_of(settings, epoch)
    if rung is None or epoch >= settings.max_resource:
        return False
    key = f"completed_rung_{rung}"
    own = frozen(trial).system_attrs
    if key not in own:
        return trial.should_prune()
    # The pruner has counted this trial at the rung, and would take the next question for one about the next rung.
    values = [entry.system_attrs[key] for entry in study.get_trials(deepcopy=False) if key in entry.system_attrs]
    promoted = sorted(values, reverse=True)[: max(1, len(values) // settings.reduction_factor)]
    return bool(own[key] < promoted[-1])


def rung_of(settings: TuneSettings, epoch: int) -> int | None:
    """Number of the rung that ends with an epoch; None if there is none."""
    rung, end = 0, settings.min_resource
    while end < epoch:
        rung, end = rung + 1, end * settings.reduction_factor
    return rung if end == epoch else None


class _NoLock:
    """The run folder is locked already; a lock file of the journal's own would outlive a killed process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


class _ByNumber(BaseSampler):
    """Draws every value at random from a seed of the trial's number and the value's name: the same after a restart.

    Args:
        seed: Of the run.
        first: Values of the first trial that are not drawn, where their distributions have them.
    """

    def __init__(self, seed: int, first: Mapping[str, Any]) -> None:
        self._seed, self._first = seed, first

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
        """Draw one value, or take the given one."""
        if trial.number == 0 and _has(param_distribution, self._first.get(param_name)):
            return self._first[param_name]
        sampler = RandomSampler(derive_seed(self._seed, "tune", trial.number, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def _has(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return value is not None and distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


def _cut_torn_line(journal: Path) -> None:
    """A process that was killed while it wrote leaves half a line, after which nothing could be read any more."""
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(journal, whole)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Optuna says about itself; its verbosity is put back."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
