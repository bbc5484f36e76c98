"""DASHA: a searched, tuned and retrained network from a training and a validation set."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha.data.inspection import DataSummary, check_pair, inspect
from dasha.data.split import as_split
from dasha.errors import InvalidArgumentError, NotFittedError, StateFileError
from dasha.manager import get_manager
from dasha.metrics import prediction_of
from dasha.randomness import seeded
from dasha.registry import close_matches
from dasha.search.budgets import budget_of
from dasha.search.config import RunConfig, claim, config_dict
from dasha.search.model import Ensemble, load_members, save_members
from dasha.search.networks import BackboneArgument, NetworkSource, network_sources
from dasha.search.plan import Normalize
from dasha.search.result import Collected, Evaluation, RunResult, SearchResult, over_seeds
from dasha.search.run import Run
from dasha.search.run_folder import CONFIG_FILE, RunFolder
from dasha.search.stages import (
    RESULT_FILE,
    Finished,
    Found,
    find_network,
    plan_of,
    search_result,
    train_network,
)
from dasha.search.supernet import Architecture, Rule, is_ordinary
from dasha.search.training import Augment, Learning, evaluate, predict
from dasha.search.tune import Space
from dasha.tasks import TaskSpec

EVALUATION_FILE = "evaluation.json"
# Samples that go through a network together.
_PREDICTED_AT_ONCE = 256
# Arguments that no file holds; the others are those of the run.
_NOT_STORED = ("augment", "backbone", "device", "is_searched", "is_shown", "space")


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
        known = [entry.name for entry in fields(RunConfig)]
        for option in options:
            if option not in known:
                guess = close_matches(option, known)
                raise InvalidArgumentError(f"there is no option {option!r};{guess} known: {', '.join(known)}")
        self.config = RunConfig(backbone=name, **options)
        budget_of(self.config.budget, 2).replaced(self.config.overrides)
        self._backbone, self._augment, self._space = backbone, augment, space
        self._is_searched, self._is_shown = is_searched, is_shown
        self._device = _device(device)
        if run_dir is None:
            run_dir = tempfile.mkdtemp(prefix="dasha-")
            weakref.finalize(self, shutil.rmtree, run_dir, ignore_errors=True)
        self._path = Path(run_dir)
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
        with self._begun(train, validation) as (run, sources):
            found = find_network(run, sources)
            search_result(run, found)
            self._take(run, found, train_network(run, found))
        return self

    def search(self, train: Any, validation: Any) -> SearchResult:
        """Run the stages before the final training; `fit` goes on from there.

        Args:
            train: As for `fit`.
            validation: Likewise.

        Returns:
            Backbone, kernels and hyperparameters; ``plan.build()`` makes the network,
            `dasha.search.found.initial_weights` are those it should begin with.

        Raises:
            InvalidArgumentError: As for `fit`.
        """
        with self._begun(train, validation) as (run, sources):
            return search_result(run, find_network(run, sources))

    @contextmanager
    def _begun(self, train: Any, validation: Any) -> Iterator[tuple[Run, list[NetworkSource]]]:
        """Check the data, lock and claim the folder; what all stages share, and the networks to choose from."""
        splits = as_split(train, "train"), as_split(validation, "validation")
        summaries = inspect(self.task, splits[0], "train"), inspect(self.task, splits[1], "validation")
        check_pair(self.task, *summaries)
        ndim = len(summaries[0].shape) - 1
        overrides = self.config.overrides
        budget = budget_of(self.config.budget, ndim).replaced(overrides)
        budget = budget.fitted_to(summaries[0].shape[1:], is_dense=self.task.is_dense).replaced(overrides)
        sources = network_sources(
            self._backbone, self.task, ndim=ndim, options=budget.backbone_options, patch_size=budget.patch_size
        )
        folder = RunFolder(self._path)
        learning = Learning(
            self.task,
            budget.batch_size,
            self._device,
            accumulate=budget.accumulate,
            precision=budget.precision,
            augment=self._augment,
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
        if run.normalization:
            normalize = Normalize(**run.normalization, ndim=ndim).to(self._device)
            run = replace(run, learning=replace(learning, normalize=normalize))
        with folder.locked(), _deterministic(self.config.is_deterministic):
            about = {"task": asdict(self.task), "settings": config_dict(self.config), "budget": budget.as_dict()}
            claim(folder, {**about, "data": _described(*summaries)})
            yield run, sources

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
        inputs = inputs.detach() if isinstance(inputs, Tensor) else torch.as_tensor(np.asarray(inputs))
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
            NotFittedError: If the run is not finished.
        """
        combined = self.model
        split = as_split(test, "test")
        summary = inspect(self.task, split, "test")
        learning = Learning(self.task, _PREDICTED_AT_ONCE // 4, self._device)
        per_seed = []
        for member in self._members:
            with self._on_device(member) as network:
                per_seed.append(evaluate(network, split, learning))
        metrics, interval = over_seeds(per_seed)
        collected = Collected(self.task)
        with self._on_device(combined) as model:
            predict(model, split, learning, collected.add)
            if self.config.is_ensemble and len(per_seed) > 1:
                metrics = evaluate(model, split, learning)
        result = Evaluation(metrics, per_seed, interval, summary.count, collected.confusion, collected.scatter)
        self._folder.write_json(EVALUATION_FILE, {**result.as_dict(), "fingerprint": summary.fingerprint})
        return result

    def report(self, target: str | Path | None = None) -> Path:
        """Write the run as one self-contained HTML page.

        Args:
            target: File to write; by default ``report.html`` in the run folder.

        Returns:
            The file.
        """
        from dasha.report.run import write_report

        return write_report(self._path, target)

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
            StateFileError: If there is no run, or a file of it is damaged.
            InvalidArgumentError: If the run is not finished and there is no data, or other data; if an argument is
                changed that belongs to the run.
        """
        for name in changes:
            if name not in _NOT_STORED:
                raise InvalidArgumentError(
                    f"{name}= belongs to the run in {path} and cannot be changed; allowed: {', '.join(_NOT_STORED)}"
                )
        if not (Path(path) / CONFIG_FILE).is_file():
            raise StateFileError(f"there is no run in {path}: {CONFIG_FILE} is missing")
        folder = RunFolder(path)
        with folder.reading(CONFIG_FILE):
            stored = folder.read_json(CONFIG_FILE)
            task, settings = TaskSpec(**stored["task"]), dict(stored["settings"])
        given = changes.get("backbone", settings["backbone"])
        if given not in ("auto", *get_manager().backbones) and isinstance(given, str):
            raise InvalidArgumentError(
                f"the run in {path} is for backbone {given!r}, which is not registered here; pass the module or "
                "factory as backbone="
            )
        run = cls(task, path, **{**settings, **changes})
        if train is not None:
            return run.fit(train, validation)
        if not folder.has(RESULT_FILE):
            raise InvalidArgumentError(
                f"the run in {path} is not finished; pass its train and validation data to go on"
            )
        run._open()
        return run

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self._path)

    def _open(self) -> None:
        """Read what a finished run left."""
        folder = self._folder
        with folder.reading(RESULT_FILE):
            result = RunResult.of_dict(folder.read_json(RESULT_FILE))
        network = None if isinstance(self._backbone, str) else self._backbone
        members = load_members(self._path, network=network)
        self._members, self._result = members, result
        self._model = self._together(members)

    def _together(self, members: list[nn.Module]) -> nn.Module:
        return Ensemble(members).eval() if self.config.is_ensemble and len(members) > 1 else members[0]

    def _take(self, run: Run, found: Found, finished: Finished) -> None:
        """Build the trained model and write it."""
        plan = plan_of(run, found)
        network = None if isinstance(self._backbone, str) else self._backbone
        members = []
        for state in finished.states:
            with seeded(0):
                plain = plan.build_plain(network)
            plain.load_state_dict(state)
            members.append(plan.normalized(plain).eval())
        save_members(run.folder, members, plan, is_ensemble=self.config.is_ensemble)
        run.folder.write_json(RESULT_FILE, finished.result.as_dict())
        self._members, self._model, self._result = members, self._together(members), finished.result

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


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise InvalidArgumentError(f"device={name!r} cannot be used ({why}); use 'auto', 'cpu' or another") from error
    return device


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
