"""DASHA: a searched, tuned and retrained network from a training and a validation set."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dasha.data.inspection import DataSummary, check_pair, inspect
from dasha.data.split import as_split
from dasha.errors import DashaWarning, InvalidArgumentError, NotFittedError
from dasha.metrics import prediction_of
from dasha.search.budgets import budget_of
from dasha.search.config import RunConfig, as_stored, config_dict, differences, versions
from dasha.search.model import (
    Ensemble,
    Normalize,
    load_members,
    load_model,
    normalized,
    save_members,
    with_kernels,
)
from dasha.search.networks import BackboneArgument, network_sources
from dasha.search.result import Collected, Evaluation, RunResult, over_seeds
from dasha.search.run_folder import RunFolder
from dasha.search.stages import RESULT_FILE, Finished, Run, run_stages
from dasha.search.supernet import Architecture, Rule, is_ordinary
from dasha.search.training import Augment, Learning, evaluate, predict
from dasha.search.tune import Space
from dasha.tasks import TaskSpec

CONFIG_FILE = "config.json"
EVALUATION_FILE = "evaluation.json"
# Samples that go through a network together.
_PREDICTED_AT_ONCE = 256


class Dasha:
    """A supervised baseline that searches its kernels, tunes its hyperparameters and is trained again.

    Nothing is ever chosen on test data: `fit` takes training and validation data alone.

    Args:
        task: What is to be learnt.
        run_dir: Folder of the run, from which it is resumed; by default a temporary one.
        backbone: Name of a registered backbone, a factory, or a module; ``"auto"`` chooses by validation score.
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
        self.task = task
        name = backbone if isinstance(backbone, str) else getattr(backbone, "__qualname__", type(backbone).__name__)
        self.config = RunConfig(backbone=name, **options)
        budget_of(self.config.budget, 2).replaced(self.config.overrides)
        self._backbone, self._augment, self._space = backbone, augment, space
        self._is_searched, self._is_shown = is_searched, is_shown
        self._device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        self._temporary = None if run_dir is not None else tempfile.TemporaryDirectory(prefix="dasha-")
        self._path = Path(run_dir if run_dir is not None else self._temporary.name)  # type: ignore[union-attr]
        self._members: list[nn.Module] = []
        self._model: nn.Module | None = None
        self._result: RunResult | None = None

    def fit(self, train: Any, validation: Any) -> Dasha:
        """Run all stages; what an earlier call left in the run folder is not repeated.

        Args:
            train: Pair of arrays ``(inputs (N, C, …), targets)``, a dataset, or a DataLoader.
            validation: Likewise; everything is chosen on it.

        Returns:
            This object.

        Raises:
            InvalidArgumentError: If data does not fit the task, or the run folder belongs to other data or settings.
        """
        splits = as_split(train, "train"), as_split(validation, "validation")
        summaries = inspect(self.task, splits[0], "train"), inspect(self.task, splits[1], "validation")
        check_pair(self.task, *summaries)
        ndim = len(summaries[0].shape) - 1
        budget = budget_of(self.config.budget, ndim).fitted_to(summaries[0].shape[1:]).replaced(self.config.overrides)
        sources = network_sources(self._backbone, self.task, ndim=ndim, options=budget.backbone_options)
        folder = RunFolder(self._path)
        with folder.locked(), _deterministic(self.config.is_deterministic):
            self._claim(folder, {"budget": budget.as_dict(), "data": _described(*summaries)})
            normalization = {"mean": summaries[0].mean, "std": summaries[0].std} if self.config.normalize else None
            learning = Learning(
                self.task,
                budget.batch_size,
                self._device,
                accumulate=budget.accumulate,
                precision=budget.precision,
                augment=self._augment,
                normalize=None if normalization is None else Normalize(**normalization, ndim=ndim).to(self._device),
            )
            run = Run(
                self.config,
                budget,
                learning,
                *splits,
                summaries[0],
                folder,
                self._is_searched,
                self._space,
                self._is_shown,
            )
            self._take(run, run_stages(run, sources), normalization, ndim)
        return self

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return self._path

    @property
    def result(self) -> RunResult:
        """What the run came to.

        Raises:
            NotFittedError: If it is not finished.
        """
        if self._result is None:
            raise NotFittedError("the run is not finished; call fit(train, validation) first")
        return self._result

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
        if self._model is None:
            raise NotFittedError("the run is not finished; call fit(train, validation) first")
        return self._model

    def predict(self, inputs: Any) -> np.ndarray:
        """Probabilities of classes or labels, or expected numbers.

        Args:
            inputs: Shape ``(N, C, …)``.

        Returns:
            Shape ``(N, num_outputs)`` or ``(N, num_outputs, …)``.
        """
        inputs = torch.as_tensor(np.asarray(inputs))
        if inputs.ndim not in (3, 4) or inputs.shape[1] != self.task.in_channels:
            raise InvalidArgumentError(
                f"inputs have shape {tuple(inputs.shape)}, but must be (N, {self.task.in_channels}, L) or "
                f"(N, {self.task.in_channels}, H, W)"
            )
        with self._on_device(self.model) as model, torch.no_grad():
            parts = [model(part.float().to(self._device)).cpu() for part in inputs.split(_PREDICTED_AT_ONCE)]
        return prediction_of(self.task, torch.cat(parts)).numpy()

    def evaluate(self, test: Any) -> Evaluation:
        """Measure the model on data that nothing was chosen on; also written to ``evaluation.json``.

        Args:
            test: Like the training data.

        Raises:
            InvalidArgumentError: If the data does not fit the task.
        """
        split = as_split(test, "test")
        summary = inspect(self.task, split, "test")
        learning = Learning(self.task, _PREDICTED_AT_ONCE // 4, self._device)
        per_seed = []
        for member in self._members:
            with self._on_device(member) as network:
                per_seed.append(evaluate(network, split, learning))
        metrics, interval = over_seeds(per_seed)
        collected = Collected(self.task)
        with self._on_device(self.model) as model:
            predict(model, split, learning, collected.add)
            if self.config.is_ensemble and len(per_seed) > 1:
                metrics = evaluate(model, split, learning)
        result = Evaluation(metrics, per_seed, interval, summary.count, collected.confusion, collected.scatter)
        self._folder.write_json(EVALUATION_FILE, {**result.as_dict(), "fingerprint": summary.fingerprint})
        return result

    @classmethod
    def resume(cls, path: str | Path, train: Any = None, validation: Any = None, **changes: Any) -> Dasha:
        """Continue a run where it stopped, or open one that is finished.

        Args:
            path: Run folder.
            train: Data of the run; not needed once it is finished.
            validation: Likewise.
            **changes: Arguments that are not in the folder: ``augment``, ``space``, ``is_searched``, ``device``,
                ``is_shown``, and ``backbone`` where it is not registered.

        Raises:
            StateFileError: If there is no run.
            InvalidArgumentError: If the run is not finished and there is no data, or other data.
        """
        stored = RunFolder(path).read_json(CONFIG_FILE)
        options = {**stored["settings"], **changes}
        run = cls(TaskSpec(**stored["task"]), path, **options)
        if train is not None:
            return run.fit(train, validation)
        if not run._folder.has(RESULT_FILE):
            raise InvalidArgumentError(
                f"the run in {path} is not finished; pass its train and validation data to go on"
            )
        run._result = RunResult.of_dict(run._folder.read_json(RESULT_FILE))
        run._members = load_members(path, network=run._backbone if isinstance(run._backbone, nn.Module) else None)
        run._model = load_model(path, network=run._backbone if isinstance(run._backbone, nn.Module) else None)
        return run

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self._path)

    def _claim(self, folder: RunFolder, derived: Mapping[str, Any]) -> None:
        """Write what the run is about, or refuse a folder that is about something else."""
        about = as_stored({"task": asdict(self.task), "settings": config_dict(self.config), **derived})
        if not folder.has(CONFIG_FILE):
            folder.write_json(CONFIG_FILE, {**about, "versions": versions()})
            return
        stored = folder.read_json(CONFIG_FILE)
        different = differences({name: stored.get(name) for name in about}, about)
        if different:
            raise InvalidArgumentError(
                f"the run in {folder.path} is another one ({'; '.join(different[:5])}); choose another run_dir, or delete it"
            )
        changed = differences(stored["versions"], versions())
        if changed:
            warnings.warn(
                f"the run in {folder.path} was begun with other versions ({'; '.join(changed)}); results may differ",
                DashaWarning,
                stacklevel=3,
            )

    def _take(self, run: Run, finished: Finished, normalization: Mapping[str, Any] | None, ndim: int) -> None:
        """Build the trained model and write it."""
        source, hyperparameters = finished.source, finished.result.hyperparameters
        members = []
        for state in finished.states:
            plain = source.make(width=run.budget.width, dropout=hyperparameters.get("dropout", 0.0))
            network = with_kernels(plain, finished.result.architecture)
            network.load_state_dict(state)
            members.append(normalized(network.eval(), normalization, ndim=ndim))
        self._members = members
        self._model = Ensemble(members).eval() if self.config.is_ensemble and len(members) > 1 else members[0]
        description = {
            "task": asdict(self.task),
            "ndim": ndim,
            "backbone": {
                "name": source.name,
                "is_registered": source.is_registered,
                "width": run.budget.width,
                "dropout": hyperparameters.get("dropout", 0.0),
                "options": dict(source.options),
            },
            "architecture": finished.result.architecture,
            "normalization": normalization,
            "is_ensemble": self.config.is_ensemble,
            "members": len(members),
        }
        save_members(run.folder, members, description)
        self._result = finished.result
        run.folder.write_json(RESULT_FILE, finished.result.as_dict())

    @contextmanager
    def _on_device(self, network: nn.Module) -> Iterator[nn.Module]:
        """A network where it computes; afterwards it is back on the CPU."""
        try:
            yield network.to(self._device).eval()
        finally:
            network.cpu()


def _described(train: DataSummary, validation: DataSummary) -> dict[str, Any]:
    return {
        name: {"count": summary.count, "shape": summary.shape, "fingerprint": summary.fingerprint}
        for name, summary in (("train", train), ("validation", validation))
    }


@contextmanager
def _deterministic(is_wanted: bool) -> Iterator[None]:
    """Only deterministic algorithms, if wanted; the setting is put back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        if is_wanted:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
