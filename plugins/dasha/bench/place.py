"""A rank among published figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Rank of one of our figures among published ones of the same task and metric.

    Attributes:
        rank: 1 is the best; equal figures share the mean of their ranks.
        of: Figures ranked, ours included.
    """

    rank: float
    of: int

    def __str__(self) -> str:
        return f"{self.rank:g} of {self.of}"
