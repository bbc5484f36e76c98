"""What all stages of a run share."""

from __future__ import annotations

from dataclasses import dataclass

from dasha.data.inspection import DataSummary
from dasha.data.split import Split
from dasha.search.budgets import Budget
from dasha.search.config import RunConfig
from dasha.search.run_folder import RunFolder
from dasha.search.supernet import Rule
from dasha.search.training import Learning
from dasha.search.tune import Space


@dataclass(frozen=True)
class Run:
    """What all stages need.

    Attributes:
        config: Settings.
        budget: How much is spent.
        learning: Task, device, batches.
        train: Training data.
        validation: Data that everything is chosen on.
        summary: Of the training data.
        folder: Of the run.
        is_searched: Which convolutions take part.
        space: Values that a trial suggests; None for the paper's.
        is_shown: Whether progress is shown.
    """

    config: RunConfig
    budget: Budget
    learning: Learning
    train: Split
    validation: Split
    summary: DataSummary
    folder: RunFolder
    is_searched: Rule
    space: Space | None
    is_shown: bool
