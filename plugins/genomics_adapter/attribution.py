"""Which bases a prediction rests on, by tangermeme: contributions, and the stretches that stand out."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dasha._optional import require
from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError
from genomics_adapter._fitted import on_device
from genomics_adapter._inputs import batches_of, read_sequences
from genomics_adapter.references import reference_maker, uncertain_allowed

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["deep_lift_shap", "saturation_mutagenesis"]
Caller = Literal["recursive", "tfmodisco"]
_THRESHOLD, _FLANK = 0.01, 2  # of the recursive caller
_DELTA = 1e-2  # of DeepLIFT's sums, in units of the output: float32 leaves a thousandth and more


def attribute(
    model: nn.Module | Any,
    X: Any,
    *,
    target: int = 0,
    method: Method = "deep_lift_shap",
    n_shuffles: int = 20,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "auto",
    hypothetical: bool = False,
) -> Tensor:
    """Contribution of every base to one output of a network.

    Bases that are not known, and padding, contribute nothing; shuffles leave them where they are, and the bases between
    them among themselves.

    Args:
        model: A module from one-hot inputs ``(N, 4, L)`` to outputs ``(N, T)``, or a fitted estimator.
        X: Sequences, as `genomics_adapter.estimator.DashaSequenceClassifier` takes them.
        target: Number of the output.
        method: ``"deep_lift_shap"``, against dinucleotide shuffles of every sequence; or
            ``"saturation_mutagenesis"``, the mean effect of replacing a base, three predictions for every base.
        n_shuffles: Shuffles of every sequence.
        batch_size: Sequences that go through the network together.
        seed: Of the shuffles.
        device: ``"auto"``, or a device of torch.
        hypothetical: Whether the bases that are not there have values, too: what they would contribute in the place of
            the one that is. TF-MoDISco needs them.

    Returns:
        Float32 ``(N, 4, L)``, 0 for the bases that are not there unless ``hypothetical``; the sum over those of a
        sequence is what distinguishes its output from those of its shuffles.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
        NotFittedError: Of scikit-learn, if an estimator is not fitted.
        OptionalDependencyError: If tangermeme is missing.
    """
    if method not in get_args(Method):
        allowed = ", ".join(map(repr, get_args(Method)))
        raise InvalidArgumentError(f"method is {method!r}, but must be one of {allowed}")
    n_shuffles = whole_number("n_shuffles", n_shuffles, minimum=1)
    batch_size = whole_number("batch_size", batch_size, minimum=1)
    network = _network_of(model)
    inputs = torch.cat(list(batches_of(_as_read(X, model), 4096, ambiguous=getattr(model, "ambiguous", "zeros"))))
    was_training = network.training
    try:
        with on_device(network, device) as (own, where):
            target = check_target(own, inputs[:1].to(where), target)
            common: dict[str, Any] = {"target": target, "batch_size": batch_size, "device": str(where)}
            common["hypothetical"] = hypothetical
            if method == "saturation_mutagenesis":
                own_method = require("tangermeme.saturation_mutagenesis", extra="genomics").saturation_mutagenesis
                values: Tensor = own_method(own, inputs, **common)
            else:
                own_method = require("tangermeme.deep_lift_shap", extra="genomics").deep_lift_shap
                common |= {"n_shuffles": n_shuffles, "random_state": seed, "warning_threshold": _DELTA}
                with uncertain_allowed():
                    values = own_method(own, inputs, references=reference_maker(inputs), only_warn=True, **common)
    finally:
        network.train(was_training)
    return values.detach().float().cpu()


def seqlets(
    attributions: Tensor | np.ndarray,
    *,
    caller: Caller = "recursive",
    threshold: float | None = None,
    flank: int | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Stretches whose contributions stand out, those for the output first, then those against it.

    Args:
        attributions: Of `attribute`, shape ``(N, 4, L)``, not hypothetical ones.
        caller: ``"recursive"``, short stretches with a p-value; or ``"tfmodisco"``, windows of a fixed length.
        threshold: p-value of the recursive caller, by default 0.01. It ranks stretches; it is no rate of errors.
        flank: Bases that are added on both sides; by default 2, or 10 by ``"tfmodisco"``, as tangermeme has it.
        **options: Further arguments of tangermeme's function.

    Returns:
        One row for every seqlet: ``example_idx``, ``start``, ``end`` (not included), ``attribution`` (the sum), and
        ``p-value`` where the caller has one.

    Raises:
        InvalidArgumentError: If ``caller`` or the shape is not allowed, or ``"tfmodisco"`` is given a threshold or too
            little to tell what stands out.
    """
    import pandas as pd

    attributions = torch.as_tensor(attributions, dtype=torch.float32)
    if attributions.ndim != 3 or attributions.shape[1] != 4:
        raise InvalidArgumentError(f"attributions have shape {tuple(attributions.shape)}, but must have (N, 4, L)")
    if caller not in get_args(Caller):
        raise InvalidArgumentError(f"caller is {caller!r}, but must be one of {', '.join(map(repr, get_args(Caller)))}")
    module: Any = require("tangermeme.seqlet", extra="genomics")
    sums = attributions.sum(1)
    if caller == "tfmodisco":
        if threshold is not None:
            raise InvalidArgumentError(
                f"threshold={threshold!r} is of caller='recursive'; for 'tfmodisco' give target_fdr="
            )
        if flank is not None:
            options = {"flank": flank, **options}
        try:
            windows: pd.DataFrame = module.tfmodisco_seqlets(sums, **options)
        except ZeroDivisionError as error:  # where it draws no value for its null distribution
            raise InvalidArgumentError(
                "caller='tfmodisco' finds no background here; pass more sequences, or take 'recursive'"
            ) from error
        return windows
    defaults = {
        "threshold": _THRESHOLD if threshold is None else threshold,
        "additional_flanks": _FLANK if flank is None else flank,
    }
    options = {**defaults, **options}
    found: pd.DataFrame = module.recursive_seqlets(sums, **options)
    against = module.recursive_seqlets(-sums, **options)
    against["attribution"] = -against["attribution"]
    both: pd.DataFrame = pd.concat([found, against[~_overlapping(against, found)]], ignore_index=True)
    length = attributions.shape[-1]
    both["start"], both["end"] = both["start"].clip(lower=0), both["end"].clip(upper=length)
    return both


def _network_of(model: nn.Module | Any) -> nn.Module:
    """A module itself, or the network of a fitted estimator."""
    if isinstance(model, nn.Module):
        return model
    from genomics_adapter._sklearn import check_is_fitted

    check_is_fitted(model, "model_")
    network: nn.Module = model.model_
    return network


def _as_read(X: Any, model: nn.Module | Any) -> np.ndarray:
    """Sequences as the estimator reads them; as they are for a module."""
    return read_sequences(X, length=getattr(model, "length_", None), crop=getattr(model, "crop", "center"))


def _overlapping(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which stretches meet one of the others."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for index, start, end in zip(others["example_idx"], others["start"], others["end"], strict=True):
        spans.setdefault(int(index), []).append((int(start), int(end)))
    return np.array(
        [
            any(start < end_of and begin < end for begin, end_of in spans.get(int(index), ()))
            for index, start, end in zip(rows["example_idx"], rows["start"], rows["end"], strict=True)
        ],
        dtype=bool,
    )


def check_target(network: nn.Module, inputs: Tensor, target: int) -> int:
    """Refuse a network or the number of an output that cannot be explained.

    Returns:
        The number.

    Raises:
        InvalidArgumentError: If outputs are no ``(N, T)``, or there is no such one.
    """
    with torch.no_grad():
        outputs = network(inputs)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise InvalidArgumentError("the model must return a tensor (N, T); wrap it in a module that does")
    if isinstance(target, bool) or not hasattr(target, "__index__") or not 0 <= target < outputs.shape[1]:
        raise InvalidArgumentError(f"target is {target!r}, but the model has outputs 0 to {outputs.shape[1] - 1}")
    return operator.index(target)
