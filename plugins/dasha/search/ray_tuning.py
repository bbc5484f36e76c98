"""Trials on a Ray cluster, by Ray Tune. This module imports Ray; others import it once Ray is known to be installed.

The journal of the run stays the only record. What Ray keeps of its own is thrown away, so that nothing in a run folder
is ever unpickled, and a run can go on with either engine.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import ray
from optuna.study import Study
from optuna.trial import Trial
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from dasha._ray import connected
from dasha.errors import DashaError, DashaWarning
from dasha.randomness import seeded
from dasha.search.course import TrialWork
from dasha.search.ray_trial import DIVERGED, EPOCHS, ERROR, SCORE, SCORES, RayTrial, checkpoint_of, shipped
from dasha.search.settings import TuneSettings
from dasha.search.study import end_trial, frozen, is_stopped, open_trials
from dasha.search.trials import Hyperparameters, TrialRecord

# A worker that dies, with its machine or for want of memory, is replaced so often.
_MAX_FAILURES = 3
_QUIET = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}


def run_trials(
    work: TrialWork,
    study: Study,
    *,
    suggest: Callable[[Trial], Hyperparameters],
    ended: Callable[[], list[TrialRecord]],
    save_seconds: Callable[[], None],
) -> None:
    """Run all trials that have not ended.

    Args:
        work: What every trial needs.
        study: Its journal keeps what came out.
        suggest: Gives the setting of a trial.
        ended: Reads what came out so far, and shows it.
        save_seconds: Called when a trial has ended.

    Raises:
        DashaError: If a trial fails for a reason that is no divergence.
        InvalidArgumentError: If there is no Ray at the address that is asked for.
        KeyboardInterrupt: If Ray was interrupted.

    Warns:
        DashaWarning: If no machine of the cluster has what a trial needs.
    """
    settings, folder, records = work.settings, work.folder, ended()
    for record in records:
        folder.remove(checkpoint_of(record.number))
    trials = {trial.number: trial for trial in open_trials(study, settings.trials)}
    if not trials:
        return
    hyperparameters = {number: suggest(trial) for number, trial in trials.items()}

    def end(record: TrialRecord) -> None:
        _count(study, trials[record.number], settings, record)
        end_trial(study, trials[record.number], record)
        folder.remove(checkpoint_of(record.number))
        folder.log("trial", **record.in_short())
        save_seconds()
        ended()

    def retry(number: int, reason: str) -> None:
        folder.log("retry", number=number, reason=reason)

    watcher = _Watcher(settings, hyperparameters, end=end, retry=retry)
    resources = {"cpu": settings.cpus_per_trial, "gpu": _gpus(work)}
    with connected(), tempfile.TemporaryDirectory(prefix="dasha-ray-") as scratch, _quiet(), seeded(0):
        _warn_of_missing(resources)
        shipment = shipped(work, hyperparameters, is_on_gpu=resources["gpu"] > 0)
        tune.Tuner(
            tune.with_resources(tune.with_parameters(RayTrial, shipment=shipment), resources),
            param_space={"number": tune.grid_search(list(trials))},
            tune_config=tune.TuneConfig(scheduler=_scheduler(settings, records), reuse_actors=True),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                callbacks=[watcher],
                stop=watcher,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=_MAX_FAILURES),
                verbose=0,
            ),
        ).fit()
    if watcher.error is not None:
        raise watcher.error
    if watcher.waiting:
        raise KeyboardInterrupt


class _Watcher(tune.Callback, tune.Stopper):  # type: ignore[misc]
    """Records trials as they end, and ends the run when one fails.

    Args:
        settings: Tell which trials are complete.
        hyperparameters: Of every trial, by number.
        end: Is given the record of a trial.
        retry: Is told which trial is run again, and why.

    Attributes:
        error: What ended the run; None if nothing did.
        waiting: Numbers of the trials that have not ended.
    """

    def __init__(
        self,
        settings: TuneSettings,
        hyperparameters: dict[int, Hyperparameters],
        *,
        end: Callable[[TrialRecord], None],
        retry: Callable[[int, str], None],
    ) -> None:
        self._settings, self._hyperparameters, self._end, self._retry = settings, hyperparameters, end, retry
        self.error: Exception | None = None
        self.waiting = set(hyperparameters)

    def __reduce__(self) -> tuple[Any, ...]:
        """Ray keeps a copy of its arguments; this one is of no use to anyone."""
        return SimpleNamespace, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave the decision about one trial to the scheduler."""
        return False

    def stop_all(self) -> bool:
        """Whether the run ends."""
        return self.error is not None

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record what came out."""
        if self.error is not None:
            return
        number, result = trial.config["number"], trial.last_result
        if ERROR in result:
            self.error = result[ERROR]
            return
        scores = list(result[SCORES])
        if DIVERGED in result:
            state, reason = "diverged", result[DIVERGED]
        elif result[EPOCHS] >= self._settings.max_resource:
            state, reason = "complete", ""
        else:
            state, reason = "pruned", f"not among the best after {result[EPOCHS]} epochs"
        try:
            self._end(TrialRecord(number, self._hyperparameters[number], scores, state, reason))
        except Exception as error:  # Ray would tell its own story about it.
            self.error = error
        self.waiting.discard(number)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Take note of a worker that died."""
        self._retry(trial.config["number"], _last_line(trial.get_error()))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the run, because trials that are left out would change what is chosen."""
        number, why = trial.config["number"], _last_line(trial.get_error())
        self.error = self.error or DashaError(
            f"trial {number} failed {_MAX_FAILURES + 1} times on workers of Ray, the last time because {why}; "
            "dasha-plugins and what the data needs must be installed on every machine of the cluster. What has ended "
            "is kept; fit again to go on"
        )


def _last_line(error: Exception | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _scheduler(settings: TuneSettings, records: Sequence[TrialRecord]) -> Any:
    """Ray's successive halving, which has seen the trials that ended before."""
    scheduler = ASHAScheduler(
        time_attr=EPOCHS,
        metric=SCORE,
        mode="max",
        grace_period=min(settings.min_resource, settings.max_resource),
        max_t=settings.max_resource,
        reduction_factor=settings.reduction_factor,
    )
    for record in records:
        known = SimpleNamespace(trial_id=f"ended-{record.number}")
        scheduler.on_trial_add(None, known)
        for epoch in range(1, _sound(record) + 1):
            scheduler.on_trial_result(None, known, {EPOCHS: epoch, SCORE: max(record.scores[:epoch])})
    return scheduler


def _count(study: Study, trial: Trial, settings: TuneSettings, record: TrialRecord) -> None:
    """Report scores to Optuna, too: the trials of a run that goes on without Ray are compared to them."""
    reported = len(frozen(trial).intermediate_values)
    for epoch in range(1, _sound(record) + 1):
        if epoch > reported:
            trial.report(max(record.scores[:epoch]), epoch)
        is_stopped(study, trial, settings, epoch)


def _sound(record: TrialRecord) -> int:
    """Epochs whose scores are numbers: all but the last one of a trial that diverged by it."""
    return next((place for place, score in enumerate(record.scores) if not math.isfinite(score)), len(record.scores))


def _gpus(work: TrialWork) -> float:
    """GPUs of one trial: what the settings say, or one where the run computes on a GPU."""
    asked = work.settings.gpus_per_trial
    return float(work.learning.device.type == "cuda") if asked is None else float(asked)


def _warn_of_missing(resources: dict[str, float]) -> None:
    """Warn of trials that may wait for ever; a cluster that grows by itself may still get what they need."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    needed = {"CPU": resources["cpu"], "GPU": resources["gpu"]}
    if not any(all(node.get(name, 0) >= count for name, count in needed.items()) for node in nodes):
        warnings.warn(
            f"no machine of the Ray cluster has {needed['CPU']:g} CPUs and {needed['GPU']:g} GPUs for a trial, which "
            "waits until there is one; lower tune.cpus_per_trial or tune.gpus_per_trial",
            DashaWarning,
            stacklevel=2,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without tables, log files and log lines of Ray Tune; what it leaves changed is put back.

    That includes the handlers of signals, which would swallow the next interrupt.
    """
    environment = {name: os.environ.get(name) for name in _QUIET}
    is_main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGUSR1") if hasattr(signal, name)] if is_main else []
    handlers = {number: signal.getsignal(number) for number in numbers}
    logger = logging.getLogger("ray.tune")
    level = logger.level
    try:
        os.environ.update(_QUIET)
        logger.setLevel(logging.CRITICAL)
        yield
    finally:
        logger.setLevel(level)
        for name, value in environment.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)
