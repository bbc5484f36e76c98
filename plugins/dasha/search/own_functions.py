"""Whether functions of the user's own give what a run needs, found out before any training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from dasha.data.split import Split
from dasha.errors import DashaWarning, InvalidArgumentError, failures_as
from dasha.randomness import seeded
from dasha.search.networks import NetworkSource
from dasha.search.settings import TuneSettings
from dasha.search.study import misfits, trial_apart
from dasha.search.supernet import Rule
from dasha.search.training import Augment, Learning
from dasha.search.tune import Space, choosing_kernels, completed, paper_space

_SAMPLES = 2
_RULE = "it is called with the name of a module and the module, and tells whether its kernel is searched"
_SPACE = "it is called with an Optuna trial and must return a mapping of hyperparameters"
_AUGMENT = "it is called with inputs (N, C, …) and targets, and must return both, with as many samples each"


def failures(what: str, way_out: str) -> AbstractContextManager[None]:
    """Turn what goes wrong inside, where something of the user's own is called, into an error that names it.

    Args:
        what: That fails, and on what.
        way_out: What it must do instead.

    Raises:
        InvalidArgumentError: If the block fails.
    """
    return failures_as(lambda why: InvalidArgumentError(f"{what} ({why}); {way_out}"))


def check_callable(**functions: Any) -> None:
    """Refuse what cannot be called; None stands for nothing.

    Raises:
        InvalidArgumentError: Naming the argument.
    """
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise InvalidArgumentError(f"{name}={function!r} must be a function, see dasha.Dasha, or left out")


def check_rule(is_searched: Rule, source: NetworkSource, *, width: int) -> None:
    """Ask which modules of a network are searched; the global generators are as before afterwards.

    Raises:
        InvalidArgumentError: If the rule fails.
    """
    with seeded(0):
        network = source.make(width=width)
    for name, module in network.named_modules():
        with failures(f"is_searched fails on {name!r}, a {type(module).__name__}", _RULE):
            is_searched(name, module)


def check_space(
    space: Space | None, settings: TuneSettings, first: Mapping[str, Any], *, seed: int, chooses_kernels: bool
) -> None:
    """Suggest the values of one trial, which leaves nothing behind.

    Args:
        space: The user's own; None for the paper's.
        settings: Of tuning.
        first: Values of the first trial that the user asked for.
        seed: Of the run.
        chooses_kernels: Whether trials also take the searched kernels or the backbone's own.

    Raises:
        InvalidArgumentError: If the space fails or leaves out a value that training needs; or if a value of the first
            trial is not in the paper's space.

    Warns:
        DashaWarning: If it is not in the user's, which may suggest other values in other trials.
    """
    trial = trial_apart(settings, seed=seed)
    # The kernels may be named wherever there are no others than the paper's hyperparameters.
    asked = choosing_kernels(space or paper_space(settings)) if chooses_kernels or space is None else space
    with seeded(0), failures("space fails on a trial", _SPACE):
        suggested = asked(trial)
    if not isinstance(suggested, Mapping):
        raise InvalidArgumentError(f"space gives {type(suggested).__name__}, but {_SPACE}")
    completed(suggested)
    for fault in misfits(first, trial.distributions):
        if space is None:
            raise InvalidArgumentError(fault)
        warnings.warn(f"{fault}; the first trial does without it", DashaWarning, stacklevel=2)


def check_augment(augment: Augment, train: Split, learning: Learning) -> None:
    """Change two samples of the training data; the global generators are as before afterwards.

    Raises:
        InvalidArgumentError: If it fails, or gives something else than it was given.
    """
    with seeded(0):
        batch = next(iter(train.batches(_SAMPLES, shuffle=False)))
        inputs, targets = (part[:_SAMPLES].clone().to(learning.device) for part in batch)
        shapes = " and ".join(str(tuple(part.shape)) for part in (inputs, targets))
        channels = inputs.shape[1], inputs.ndim
        with failures(f"augment fails on inputs and targets of shape {shapes}", _AUGMENT):
            given = augment(inputs, targets)
    if not isinstance(given, (tuple, list)) or len(given) != 2 or not all(isinstance(part, Tensor) for part in given):
        raise InvalidArgumentError(f"augment gives {type(given).__name__}, but {_AUGMENT}")
    changed, labels = given
    if (changed.shape[1], changed.ndim) != channels or len(changed) != len(labels):
        found = " and ".join(str(tuple(part.shape)) for part in given)
        raise InvalidArgumentError(f"augment turns inputs and targets of shape {shapes} into {found}; {_AUGMENT}")
