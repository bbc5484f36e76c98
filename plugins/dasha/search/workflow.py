"""DASHA: a searched, tuned and retrained network from a training and a validation set."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dasha.errors import DashaWarning, InvalidArgumentError, NotFittedError
from dasha.registry import close_matches
from dasha.search.budgets import budget_of
from dasha.search.config import RunConfig
from dasha.search.devices import device_of
from dasha.search.evaluation import Predictor, evaluation_of, inspected_test, predictions
from dasha.search.networks import BackboneArgument, Factory
from dasha.search.opening import check_layers, stored_arguments, stored_data
from dasha.search.preparation import Setup, begun
from dasha.search.result import Evaluation, RunResult, SearchResult
from dasha.search.run_folder import CONFIG_FILE, RESULT_FILE, RunFolder
from dasha.search.stages import find_network, search_result, train_network
from dasha.search.supernet import Architecture, Rule, is_ordinary
from dasha.search.trained import Trained, keep_trained, read_trained
from dasha.search.training import Augment
from dasha.search.tune import Space
from dasha.tasks import TaskSpec

EVALUATION_FILE = "evaluation.json"


class Dasha:
    """A supervised baseline that searches its kernels, tunes its hyperparameters and is trained again.

    Nothing is ever chosen on test data: `fit` takes training and validation data alone.

    Args:
        task: What is to be learnt.
        run_dir: Folder of the run, from which it is resumed; by default a temporary one, which goes with this object in
            the process that made it.
        backbone: Name of a registered backbone, a factory, or a module; ``"auto"`` chooses by validation score. A
            module keeps its own weights, width and dropout in all trials and trainings: seeds then change the order of
            batches, augmentation, what dropout drops, and the weights of kernels that are new, but nothing else.
        augment: Changes training batches ``(inputs, targets)``; draws from torch's global generator.
        space: Function of an Optuna trial that returns its hyperparameters; by default
            `dasha.search.tune.paper_space`.
        is_searched: Tells which convolutions are searched; by default `dasha.search.supernet.is_ordinary`.
        device: ``"auto"``, or a device of torch.
        is_shown: Whether progress is shown on standard error.
        **options: The other settings; see `dasha.search.config.RunConfig`.

    Attributes:
        task: As given.
        config: The checked settings.

    Raises:
        InvalidArgumentError: If a value is not allowed.
    """

    def __init__(
        self,
        task: TaskSpec,
        run_dir: str | Path | None = None,
        *,
        backbone: BackboneArgument = "auto",
        augment: Augment | None = None,
        space: Space | None = None,
        is_searched: Rule = is_ordinary,
        device: str = "auto",
        is_shown: bool = True,
        **options: Any,
    ) -> None:
        if not isinstance(task, TaskSpec):
            raise InvalidArgumentError(
                f"task={task!r} must be a dasha.TaskSpec, such as TaskSpec('multiclass', in_channels=3, num_outputs=2)"
            )
        name = backbone if isinstance(backbone, str) else getattr(backbone, "__qualname__", type(backbone).__name__)
        known = [entry.name for entry in fields(RunConfig)]
        for option in options:
            if option not in known:
                guess = close_matches(option, known)
                raise InvalidArgumentError(f"there is no option {option!r};{guess} known: {', '.join(known)}")
        self.task, self.config = task, RunConfig(backbone=name, **options)
        budget_of(self.config.budget, 2).replaced(self.config.overrides)
        place = device_of(device)
        self._is_temporary = run_dir is None
        if run_dir is None:
            run_dir = tempfile.mkdtemp(prefix="dasha-")
            weakref.finalize(self, _remove, run_dir, os.getpid())
        path = Path(run_dir).absolute()
        self._setup = Setup(task, self.config, path, backbone, augment, space, is_searched, place, is_shown)
        self._trained: Trained | None = None

    def fit(self, train: Any, validation: Any) -> Dasha:
        """Run all stages; what an earlier call left in the run folder is not repeated.

        Args:
            train: Pair of arrays ``(inputs (N, C, …), targets)``, a dataset, or a DataLoader.
            validation: Likewise; everything is chosen on it.

        Returns:
            This object.

        Raises:
            InvalidArgumentError: If data or a network does not fit the task, or the run folder belongs to other data,
                the same data in other batches, or other settings, networks or functions.
        """
        with begun(self._setup, train, validation) as (run, sources):
            found = find_network(run, sources)
            search_result(run, found)
            self._trained = keep_trained(run, found, train_network(run, found), self._own_network)
        return self

    def search(self, train: Any, validation: Any) -> SearchResult:
        """Run the stages before the final training; `fit` goes on from there.

        Args:
            train: As for `fit`.
            validation: Likewise.

        Returns:
            Backbone, kernels and hyperparameters; ``plan.build_plain()`` makes the network,
            `dasha.search.found.initial_weights` are those it should begin with, and ``plan.normalized(network)`` is the
            network in the units of the data.

        Raises:
            InvalidArgumentError: As for `fit`.
        """
        with begun(self._setup, train, validation) as (run, sources):
            return search_result(run, find_network(run, sources))

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return self._setup.path

    @property
    def result(self) -> RunResult:
        """What the run came to.

        Raises:
            NotFittedError: If it is not finished.
        """
        return self._finished.result

    @property
    def architecture(self) -> Architecture:
        """Kernel size and dilation of every searched layer; see `result`."""
        return self.result.architecture

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Of the winning trial; see `result`."""
        return self.result.hyperparameters

    @property
    def model(self) -> nn.Module:
        """The trained network in evaluation mode, on the CPU: inputs ``(N, C, …)`` in the units of the data to outputs.

        Raises:
            NotFittedError: If the run is not finished.
        """
        return self._finished.model

    def predict(self, inputs: Any) -> np.ndarray:
        """Probabilities of classes or labels, or expected numbers.

        Args:
            inputs: Shape ``(N, C, …)``.

        Returns:
            Shape ``(N, num_outputs)`` or ``(N, num_outputs, …)``.

        Raises:
            InvalidArgumentError: If the inputs are no array, not numeric, or have other channels or dimensions.
            NotFittedError: If the run is not finished.
        """
        return predictions(self._finished, inputs, self.task, self._setup.device)

    @property
    def members(self) -> list[nn.Module]:
        """The networks of all final trainings, each as `model`.

        Raises:
            NotFittedError: If the run is not finished.
        """
        return self._finished.members

    def evaluate(self, test: Any, *, predictor: Predictor | None = None) -> Evaluation:
        """Measure the model on data that nothing was chosen on; also written to ``evaluation.json``.

        Args:
            test: Like the training data.
            predictor: Makes what predicts of a trained network, such as a mean over both strands of DNA.

        Raises:
            InvalidArgumentError: If the data does not fit the task.
            NotFittedError: If the run is not finished.

        Warns:
            DashaWarning: If the run folder cannot be written to, or the run is not there any more.
        """
        trained = self._finished
        split, summary = inspected_test(test, self.task, ndim=trained.ndim)
        result = evaluation_of(
            trained,
            split,
            summary,
            self.task,
            self._setup.device,
            is_ensemble=self.config.is_ensemble,
            predictor=predictor,
        )
        try:
            (self.run_dir / CONFIG_FILE).stat()
            self._folder.write_json(EVALUATION_FILE, {**result.as_dict(), "fingerprint": summary.fingerprint})
        except OSError as error:
            warnings.warn(
                f"the evaluation could not be kept in {self.run_dir} ({error.strerror}), so that reports lack it",
                DashaWarning,
                stacklevel=2,
            )
        return result

    def report(self, target: str | Path | None = None) -> Path:
        """Write the run as one self-contained HTML page.

        Args:
            target: File to write; by default ``report.html`` in the run folder, or where you work if that is temporary.

        Returns:
            The file.

        Raises:
            InvalidArgumentError: If the file cannot be written.
        """
        from dasha.report.run import REPORT_FILE, write_report

        return write_report(self.run_dir, REPORT_FILE if target is None and self._is_temporary else target)

    @classmethod
    def resume(cls, path: str | Path, train: Any = None, validation: Any = None, **changes: Any) -> Dasha:
        """Continue a run to its trained network, or open one that is finished.

        Args:
            path: Run folder.
            train: Data of the run; not needed once it is finished, nor where it was begun by the command line on files
                or a registered task, which are read again.
            validation: Likewise.
            **changes: Arguments that are not in the folder: ``augment``, ``space``, ``is_searched`` and ``backbone``
                where it is not registered, all as the run was begun with; also ``device``, ``is_shown`` and ``engine``.
                A finished run needs the backbone alone, with any weights.

        Raises:
            StateFileError: If there is no run, or a file of it is damaged.
            InvalidArgumentError: If the run is not finished and there is no data, or other data; if an argument is
                changed that belongs to the run, or is another than the run was begun with.
        """
        task, arguments = stored_arguments(path, changes)
        run = cls(task, path, **arguments)
        if train is not None:
            return run.fit(train, validation)
        if not run._folder.has(RESULT_FILE):
            data = stored_data(path)
            return run.fit(data.train, data.validation)
        check_layers(run._folder, run._own_network)
        run._trained = read_trained(run._folder, run._own_network, is_ensemble=run.config.is_ensemble)
        return run

    @property
    def _finished(self) -> Trained:
        if self._trained is None:
            raise NotFittedError("the run is not finished; call fit(train, validation) first")
        return self._trained

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self.run_dir)

    @property
    def _own_network(self) -> nn.Module | Factory | None:
        """The user's own module or factory; None for a registered backbone, which its name tells."""
        backbone = self._setup.backbone
        return None if isinstance(backbone, str) else backbone


def _remove(folder: str, owner: int) -> None:
    """Delete a temporary folder in the process that made it, and in none that was forked from it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
