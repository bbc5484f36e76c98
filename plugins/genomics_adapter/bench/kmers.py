"""Logistic regression on counts of k-mers: what a task needs no network for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dasha._optional import Requirement
from dasha.bench.cases import Case
from dasha.bench.search import BenchData, metrics_of, record_of

SIZES = (3, 4, 5, 6)
"""Bases of a k-mer; the best on validation data is taken."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of the penalty, likewise."""
_MAX_ITERATIONS = 1000


def kmer_counts(codes: np.ndarray, size: int, *, both_strands: bool) -> Any:
    """Counts of k-mers, those with a base that is not certain left out.

    Args:
        codes: Places in `genomics_adapter.encoding.ALPHABET`, shape ``(N, L)``.
        size: Bases of a k-mer.
        both_strands: Whether a k-mer and its reverse complement are one.

    Returns:
        Sparse, float32, shape ``(N, 4 ** size)``.
    """
    from scipy.sparse import csr_matrix

    windows = np.lib.stride_tricks.sliding_window_view(codes.astype(np.int32), size, axis=1)  # (N, L - size + 1, size)
    weights = 4 ** np.arange(size)[::-1]
    numbers = windows @ weights
    if both_strands:
        numbers = np.minimum(numbers, (3 - windows[..., ::-1]) @ weights)
    rows, places = np.nonzero((windows < 4).all(-1))
    counts = np.ones(len(rows), np.float32)
    return csr_matrix((counts, (rows, numbers[rows, places])), shape=(len(codes), 4**size))


def kmer_case(data: BenchData, seed: int) -> Case:
    """The baseline as a case; it has nothing random."""
    settings = {"data": data.about, "sizes": SIZES, "strengths": STRENGTHS}

    def measure(folder: Path) -> dict[str, Any]:
        return run_kmers(data)

    return Case(data.name, "kmer", seed, settings, measure, ("numpy", "scipy", "scikit-learn"), is_ours=False)


def run_kmers(data: BenchData) -> dict[str, Any]:
    """Choose k and penalty on validation data, and measure on test data.

    Raises:
        OptionalDependencyError: If scikit-learn is not installed.
    """
    linear: Any = Requirement("sklearn.linear_model", install="scikit-learn").load()
    scaling: Any = Requirement("sklearn.preprocessing", install="scikit-learn").load()
    started = time.perf_counter()
    both, metric = data.predictor is not None, data.task.metric
    best: tuple[float, int, float, Any, Any] | None = None
    for size in (size for size in SIZES if size <= data.train.codes.shape[1]):
        parts = [kmer_counts(part.codes.numpy(), size, both_strands=both) for part in (data.train, data.validation)]
        scaler = scaling.MaxAbsScaler().fit(parts[0])
        train, validation = map(scaler.transform, parts)
        for strength in STRENGTHS:
            model = linear.LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS)
            model.fit(train, data.train.targets.numpy())
            score = metrics_of(data.task, _outputs(data, model, validation), data.validation.targets)[metric]
            if best is None or score > best[0]:
                best = score, size, strength, model, scaler
    assert best is not None
    _, size, strength, model, scaler = best
    found = {}
    for name, part in (("validation", data.validation), ("test", data.test)):
        counts = scaler.transform(kmer_counts(part.codes.numpy(), size, both_strands=both))
        found[name] = metrics_of(data.task, _outputs(data, model, counts), part.targets)
    return {
        **record_of(data, **found),
        "parameters": int(model.coef_.size + model.intercept_.size),
        "seconds": time.perf_counter() - started,
        "hyperparameters": {"k": size, "C": strength},
    }


def _outputs(data: BenchData, model: Any, counts: Any) -> Tensor:
    """Logits, shape ``(N, num_outputs)``; a class that train lacks gets the lowest."""
    decided = torch.from_numpy(np.asarray(model.decision_function(counts), dtype=np.float32))
    if data.task.kind == "binary":
        return decided[:, None]
    outputs = torch.full((len(decided), data.task.num_outputs), float(decided.min()) - 1.0)
    outputs[:, torch.as_tensor(model.classes_)] = decided
    return outputs
