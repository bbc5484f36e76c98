"""What all stages of a run share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
        target_scale: Of `dasha.search.units.TargetScale`, of every target; empty where they are learnt as they are.
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
    target_scale: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        """Spatial dimensions of the inputs."""
        return len(self.summary.shape) - 1

    @property
    def normalization(self) -> Mapping[str, Sequence[float]]:
        """Mean and standard deviation of every channel of the training data; empty where they are not wanted."""
        return {"mean": list(self.summary.mean), "std": list(self.summary.std)} if self.config.normalize else {}
