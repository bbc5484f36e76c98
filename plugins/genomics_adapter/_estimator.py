"""What the estimators share: parameters, `fit` on sequences in any form, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import nn

from dasha import Dasha
from dasha.errors import InvalidArgumentError
from dasha.metrics import prediction_of
from dasha.randomness import derive_seed
from dasha.search.found import load_search
from dasha.search.networks import BackboneArgument
from dasha.search.plan import NetworkPlan
from dasha.tasks import TaskSpec
from genomics_adapter._fitted import on_device, read_fitted, write_fitted
from genomics_adapter._inputs import (
    batches_of,
    check_lengths,
    check_same_names,
    class_names_of,
    dataset_of,
    is_matrix,
    read_sequences,
)
from genomics_adapter._kept_cards import is_described, keep_described, part_of
from genomics_adapter._sklearn import (
    BaseEstimator,
    Tags,
    check_is_fitted,
    check_random_state,
    validate_data,
)
from genomics_adapter._split import split_off
from genomics_adapter._targets import check_present
from genomics_adapter.augment import Augmentation
from genomics_adapter.encoding import Ambiguous, Crop
from genomics_adapter.reverse_complement import StrandAverage

_PREDICTED_AT_ONCE = 256


class DashaSequenceEstimator(BaseEstimator):
    """What the classifier and the regressor share; it is not used itself.

    Args:
        budget: ``"smoke"`` (seconds), ``"quick"`` (minutes on two cores), ``"standard"`` or ``"paper"``.
        search: Kernels: ``"on"`` for searched ones, ``"off"`` for the backbone's own, ``"random"`` for drawn ones;
            ``"auto"`` searches and lets trials choose between searched and own by validation score.
        backbone: Name of a registered backbone, a factory, or a module; ``"auto"`` chooses by validation score.
        overrides: Values of the budget that are replaced, such as ``{"tune.trials": 8}``.
        metric: Name in `dasha.metrics.METRICS` that decides in tuning; by default MCC of classes, average precision of
            labels, mean squared error of numbers.
        loss: See `dasha.TaskSpec`; by default cross-entropy or the squared error.
        class_weight: Weight of every class in the loss: None for equal ones, ``"balanced"`` for the same share of every
            class, or a dictionary from classes to weights, where those left out have 1. Of several labels, that of
            every column. For classes alone.
        length: Bases that a network sees; by default those of the longest training sequence. Others are cropped or
            padded.
        crop: What keeps its place then: ``"center"``, ``"start"`` or ``"end"``.
        ambiguous: How the network sees codes of bases that are not certain: ``"zeros"``, or ``"fractions"`` for a share
            of every base that a code allows; see `genomics_adapter.one_hot`.
        reverse_complement: Whether training shows either strand at random, and predictions are the mean of both.
        shift: Training moves sequences by up to so many bases at random; fewer than they have.
        validation_fraction: Share of the training data that everything is chosen on, where `fit` gets no validation
            data; the same sequence, on either strand, never is in both.
        n_seeds: Final trainings with different seeds; the model card shows their spread.
        is_ensemble: Whether the model is the mean of them; otherwise it is the first.
        random_state: Seed, NumPy's ``RandomState``, or None for another run every time.
        run_dir: Folder of the run, which a second `fit` on the same data continues, with a model card that says
            nothing about test data (see `genomics_adapter.card.model_card`); by default a temporary one without a card.
            Leave it at that under cross-validation, where every fit is another run.
        device: ``"auto"``, or a device of torch.
        verbose: Above 0, progress is shown on standard error.

    Attributes:
        model_: The trained network, a plain ``nn.Module`` from one-hot float ``(N, 4, L)`` to ``(N, targets)``, on the
            CPU, in evaluation mode.
        architecture_: Kernel size and dilation of every searched layer.
        hyperparameters_: Of the winning trial.
        run_: The finished `dasha.Dasha`.
        network_: The network, or the ensemble, alone: not averaged over strands.
        plan_: The `dasha.search.plan.NetworkPlan` that builds it.
        task_: The `dasha.TaskSpec` that was learnt.
        length_: Bases that the network sees.
        n_features_in_: The same, where ``X`` were codes ``(N, L)``.
    """

    length_: int

    def __init__(
        self,
        *,
        budget: str = "quick",
        search: Literal["auto", "on", "off", "random"] = "auto",
        backbone: BackboneArgument = "auto",
        overrides: Mapping[str, Any] | None = None,
        metric: str | None = None,
        loss: str | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        length: int | None = None,
        crop: Crop = "center",
        ambiguous: Ambiguous = "zeros",
        reverse_complement: bool = True,
        shift: int = 0,
        validation_fraction: float = 0.15,
        n_seeds: int = 1,
        is_ensemble: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        run_dir: str | Path | None = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.budget = budget
        self.search = search
        self.backbone = backbone
        self.overrides = overrides
        self.metric = metric
        self.loss = loss
        self.class_weight = class_weight
        self.length = length
        self.crop = crop
        self.ambiguous = ambiguous
        self.reverse_complement = reverse_complement
        self.shift = shift
        self.validation_fraction = validation_fraction
        self.n_seeds = n_seeds
        self.is_ensemble = is_ensemble
        self.random_state = random_state
        self.run_dir = run_dir
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> Self:
        """Search kernels, tune hyperparameters and train.

        Args:
            X: Sequences: texts ``(N,)``, codes ``(N, L)`` or one-hot values ``(N, 4, L)``. A matrix of other numbers is
                refused: two axes mean codes.
            y: Classes ``(N,)``, labels 0 and 1 ``(N, T)``, or numbers ``(N,)`` or ``(N, T)``. Classes and
                columns have the names of `SequenceData` whose own labels they are.
            X_val: Data that everything is chosen on; by default a share of ``X``.
            y_val: Its targets.

        Returns:
            This object.

        Raises:
            InvalidArgumentError: If data or a parameter is not allowed.
        """
        if (X_val is None) != (y_val is None):
            raise InvalidArgumentError("X_val and y_val must be given together")
        if y is None:
            raise InvalidArgumentError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        for targets_given, name in ((y, "y"), (y_val, "y_val")):
            if targets_given is not None:
                check_present(targets_given, name)
        sequences = self._read(X, reset=True)
        names = class_names_of(X, y)
        targets, task = self._learn_targets(y, names)
        check_lengths(sequences, targets, "")
        seed = self._seed()
        is_new = self.run_dir is not None and not is_described(self.run_dir)
        rows: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if X_val is None:
            own, other = rows = split_off(
                sequences,
                targets if task.has_classes else None,
                fraction=self.validation_fraction,
                seed=derive_seed(seed, "validation"),
            )
            train, validation = (sequences[own], targets[own]), (sequences[other], targets[other])
        else:
            check_same_names(names, class_names_of(X_val, y_val))
            train, validation = (sequences, targets), (self._read(X_val), self._encode(y_val))
            check_lengths(*validation, " of validation")
        augment = Augmentation(reverse_complement=self.reverse_complement, shift=self.shift)
        augment.check_length(self.length_)
        self.run_ = Dasha(
            task,
            self.run_dir,
            backbone=self.backbone,
            budget=self.budget,
            overrides=dict(self.overrides or {}),
            search=self.search,
            seed=seed,
            n_seeds=self.n_seeds,
            is_ensemble=self.is_ensemble,
            normalize=False,
            augment=augment if self.reverse_complement or self.shift else None,
            device=self.device,
            is_shown=self.verbose > 0,
        )
        self.run_.fit(*(dataset_of(*part, task, ambiguous=self.ambiguous) for part in (train, validation)))
        self._take(load_search(self.run_.run_dir).plan, self.run_.model)
        self.hyperparameters_ = self.run_.hyperparameters
        given = [(X, "X"), (X, "X") if X_val is None else (X_val, "X_val")]
        parts = zip(given, (train, validation), rows, strict=True)
        has_codes = train[0].ndim == 2  # shares of bases cannot be compared
        described = [part_of(*origin, *part, own) for origin, part, own in parts] if has_codes else None
        keep_described(self, described, with_card=is_new)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Classes, labels or numbers of sequences, in the form that ``y`` had."""
        return self._decode(self._values(X))

    def save(self, folder: str | Path) -> Path:
        """Write the fitted estimator as JSON and safetensors; `dasha.search.load_model` reads the bare network.

        Args:
            folder: A new one, an empty one, or one that `save` wrote, which is replaced as a whole.

        Returns:
            The folder.

        Raises:
            InvalidArgumentError: If the folder holds anything else, or cannot be written.
        """
        check_is_fitted(self)
        return write_fitted(Path(folder), self)

    @classmethod
    def load(cls, folder: str | Path, *, network: Any = None) -> Self:
        """Read what `save` wrote; nothing in the files is executed.

        Args:
            folder: As given to `save`.
            network: The module or factory that was the backbone, where that is not registered.

        Raises:
            StateFileError: If the files are absent, damaged, or of another kind of estimator.
        """
        return read_fitted(cls, Path(folder), network)

    def _values(self, X: Any) -> np.ndarray:
        """Probabilities of the network's outputs, or expected numbers, ``(N, num_outputs)``."""
        check_is_fitted(self)
        sequences = self._read(X)
        with on_device(self.model_, self.device) as (model, device), torch.no_grad():
            batches = batches_of(sequences, _PREDICTED_AT_ONCE, ambiguous=self.ambiguous)
            parts = [model(part.to(device)).cpu() for part in batches]
        return prediction_of(self.task_, torch.cat(parts)).numpy()

    def _read(self, X: Any, *, reset: bool = False) -> np.ndarray:
        """Codes or shares of the sequences; a matrix of numbers is checked first as every estimator does."""
        if is_matrix(X):
            X = validate_data(self, X, reset=reset, dtype="numeric")
        elif reset:
            for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
                self.__dict__.pop(name, None)
        sequences = read_sequences(X, length=self.length if reset else self.length_, crop=self.crop)
        if reset:
            self.length_ = sequences.shape[-1]
        return sequences

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _take(self, plan: NetworkPlan, network: nn.Module) -> None:
        """Keep the trained network, and make of it the model that users see."""
        self.plan_, self.network_, self.task_ = plan, network, plan.task
        self.architecture_ = dict(plan.architecture)
        self.model_ = (StrandAverage(network) if self.reverse_complement else network).eval()

    def _learn_targets(self, y: Any, class_names: tuple[str, ...]) -> tuple[np.ndarray, TaskSpec]:
        raise NotImplementedError

    def _encode(self, y: Any) -> np.ndarray:
        raise NotImplementedError

    def _decode(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Tags:
        """Say what goes in: texts, codes and one-hot arrays, not matrices of features."""
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags
