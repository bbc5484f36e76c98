"""One trial on a worker of Ray. This module imports Ray; others import it once Ray is known to be installed."""

from __future__ import annotations

import copy
import math
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from dasha.errors import DashaError
from dasha.search.course import Course, TrialWork
from dasha.search.devices import deterministic
from dasha.search.training import Learning
from dasha.search.trials import Hyperparameters

SCORE, EPOCHS = "score", "epochs"
SCORES, DIVERGED, ERROR = "scores", "diverged", "error"


@dataclass(frozen=True)
class Shipment:
    """What workers are sent, once; arrays are shared by all workers of a machine.

    Attributes:
        work: What every trial needs, on the CPU.
        hyperparameters: Of every trial, by number.
        home: Where the driver works, for relative paths.
        threads: Of torch.
        is_on_gpu: Whether trials compute on a GPU.
        is_deterministic: Whether only deterministic algorithms run.
    """

    work: TrialWork
    hyperparameters: Mapping[int, Hyperparameters]
    home: Path
    threads: int
    is_on_gpu: bool
    is_deterministic: bool


def checkpoint_of(number: int) -> str:
    """Name of the checkpoint of a trial in the run folder."""
    return f"tune/trial-{number}.pt"


def shipped(work: TrialWork, hyperparameters: Mapping[int, Hyperparameters], *, is_on_gpu: bool) -> Shipment:
    """Pack what workers need; the objects handed in stay as they are."""
    learning = _on(torch.device("cpu"), work.learning)
    folder = copy.copy(work.folder)
    folder.path = folder.path.absolute()
    return Shipment(
        work=replace(work, learning=learning, folder=folder),
        hyperparameters=hyperparameters,
        home=Path.cwd(),
        threads=work.settings.cpus_per_trial,
        is_on_gpu=is_on_gpu,
        is_deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def _on(device: torch.device, learning: Learning) -> Learning:
    """The same for another device, with copies of what holds tensors."""
    normalize, scale = copy.deepcopy((learning.normalize, learning.target_scale))
    return replace(
        learning,
        device=device,
        normalize=None if normalize is None else normalize.to(device),
        target_scale=None if scale is None else scale.to(device),
    )


class RayTrial(tune.Trainable):  # type: ignore[misc]
    """A trial as Ray Tune drives it.

    Every result holds all scores so far. A worker that died is replaced, and the new one goes on from the checkpoint in
    the run folder: it reports the scores there again, without the training. A machine that does not see the run folder
    keeps no checkpoints, and begins lost trials again; as what is random follows from trial and epoch, scores are the
    same either way.
    """

    def setup(self, config: dict[str, Any], shipment: Shipment) -> None:
        """Take what was shipped.

        Args:
            config: With the ``number`` of the trial.
            shipment: What the driver sent.
        """
        torch.set_num_threads(shipment.threads)
        self._shipment, self._work = shipment, shipment.work
        if shipment.is_on_gpu:
            self._work = replace(shipment.work, learning=_on(torch.device("cuda"), shipment.work.learning))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial on the same worker."""
        self._number, self._epoch = new_config["number"], 0
        self._course: Course | None = None
        if self._shipment.home.is_dir():
            os.chdir(self._shipment.home)  # Ray changes to a folder of its own.
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        try:
            with deterministic(self._shipment.is_deterministic):
                return self._advanced()
        except Exception as error:
            known = error if isinstance(error, DashaError) else DashaError(traceback.format_exc())
            return {SCORE: -math.inf, ERROR: known, tune.result.DONE: True}

    def _advanced(self) -> dict[str, Any]:
        course = self._course = self._course or self._begun()
        self._epoch += 1
        reason = course.reach(self._epoch)
        if reason:
            # Without epochs the scheduler takes no notice: those who diverge set no standard for others.
            return {SCORE: -math.inf, SCORES: course.scores, DIVERGED: reason, tune.result.DONE: True}
        scores = course.scores[: self._epoch]
        return {SCORE: max(scores), EPOCHS: self._epoch, SCORES: scores}

    def _begun(self) -> Course:
        folder, name = self._work.folder, checkpoint_of(self._number)
        is_seen = folder.path.is_dir()

        def keep(state: Mapping[str, Any]) -> None:
            if is_seen:
                folder.save_state(name, state)

        course = Course(self._work, self._number, self._shipment.hyperparameters[self._number], keep=keep)
        state = folder.load_state(name)
        if state is not None:
            with folder.reading(name):
                course.restore(state)
        return course
