"""What was tried in tuning, and what came out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

Hyperparameters = dict[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """One setting that was tried.

    Attributes:
        number: In the order of trying.
        hyperparameters: The setting.
        scores: Deciding metric after every epoch, turned so that larger is better.
        state: ``"complete"``, ``"pruned"`` or ``"diverged"``.
        reason: Why it ended early.
    """

    number: int
    hyperparameters: Hyperparameters
    scores: list[float]
    state: str
    reason: str = ""

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> TrialRecord:
        """One entry of what `TuneOutcome.as_dict` gave, after JSON, which has no infinity."""
        return cls(**{**content, "scores": [-math.inf if score is None else score for score in content["scores"]]})

    @classmethod
    def of_trial(cls, trial: FrozenTrial) -> TrialRecord:
        """A trial that has ended."""
        attributes = trial.user_attrs
        return cls(
            number=trial.number,
            hyperparameters=attributes["hyperparameters"],
            scores=list(attributes["scores"]),
            state=attributes["outcome"],
            reason=attributes["reason"],
        )

    def in_short(self) -> dict[str, Any]:
        """For the log."""
        score = max(self.scores, default=-math.inf)
        short = {"number": self.number, "state": self.state, "reason": self.reason, "epochs": len(self.scores)}
        return {**short, "score": score}

    @property
    def best(self) -> float:
        """Best score; minus infinity if it diverged."""
        return -math.inf if self.state == "diverged" else max(self.scores, default=-math.inf)


@dataclass(frozen=True)
class TuneOutcome:
    """What tuning found.

    Attributes:
        hyperparameters: Of the best trial.
        score: Its best score; larger is better.
        number: Of the best trial.
        trials: All of them.
        seconds: Of work.
    """

    hyperparameters: Hyperparameters
    score: float
    number: int
    trials: list[TrialRecord] = field(repr=False)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> TuneOutcome:
        """What `as_dict` gave, after JSON."""
        return cls(**{**content, "trials": [TrialRecord.of_dict(trial) for trial in content["trials"]]})
