"""A random forest on statistics of every band: what a task needs no network for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dasha._optional import Requirement
from dasha.bench.cases import Case
from dasha.bench.search import BenchData, metrics_of, record_of

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TREES = 500
_MAX_FEATURES = ("sqrt", 0.5)
_MIN_LEAVES = (1, 3)


def band_features(images: Tensor) -> np.ndarray:
    """Mean, standard deviation and quantiles of every band, shape ``(N, 7 C)``.

    Args:
        images: Shape ``(N, C, H, W)``.
    """
    pixels = images.float().flatten(2)  # (N, C, H W)
    quantiles = torch.quantile(pixels, torch.tensor(QUANTILES), dim=-1)  # (Q, N, C)
    statistics = torch.cat([pixels.mean(-1)[None], pixels.std(-1, correction=0)[None], quantiles])
    return statistics.movedim(0, -1).flatten(1).numpy()


def forest_case(data: BenchData, seed: int) -> Case:
    """The baseline as a case."""
    grid = {"trees": _TREES, "max_features": _MAX_FEATURES, "min_samples_leaf": _MIN_LEAVES, "quantiles": QUANTILES}
    settings = {"data": data.about, "seed": seed, **grid}

    def measure(folder: Path) -> dict[str, Any]:
        return run_forest(data, seed)

    return Case(data.name, "forest", seed, settings, measure, ("numpy", "torch", "scikit-learn"), is_ours=False)


def run_forest(data: BenchData, seed: int) -> dict[str, Any]:
    """Choose the settings on validation data, and measure on test data.

    Raises:
        OptionalDependencyError: If scikit-learn is not installed.
    """
    ensemble: Any = Requirement("sklearn.ensemble", install="scikit-learn").load()
    started = time.perf_counter()
    inputs = {"train": data.train, "validation": data.validation, "test": data.test}
    features = {name: band_features(images) for name, (images, _) in inputs.items()}
    candidates = []
    for most, least in product(_MAX_FEATURES, _MIN_LEAVES):
        forest = ensemble.RandomForestClassifier(_TREES, max_features=most, min_samples_leaf=least, random_state=seed)
        forest.fit(features["train"], data.train[1].numpy())
        found = metrics_of(data.task, _outputs(data, forest, features["validation"]), data.validation[1])
        candidates.append((found, forest, {"max_features": most, "min_samples_leaf": least}))
    found, forest, chosen = max(candidates, key=lambda one: one[0][data.task.metric])
    seconds = time.perf_counter() - started
    test = metrics_of(data.task, _outputs(data, forest, features["test"]), data.test[1])
    return {**record_of(data, found, test), "parameters": None, "seconds": seconds, "hyperparameters": chosen}


def _outputs(data: BenchData, forest: Any, features: Sequence[Any] | np.ndarray) -> Tensor:
    """Logarithms of probabilities, shape ``(N, num_outputs)``; train has every class."""
    shares = torch.from_numpy(forest.predict_proba(features))
    outputs = torch.full((len(shares), data.task.num_outputs), 0.0, dtype=shares.dtype)
    outputs[:, torch.as_tensor(forest.classes_)] = shares
    return outputs.clamp(min=1e-12).log()
