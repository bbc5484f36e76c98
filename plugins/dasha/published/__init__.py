"""Figures of other people's papers as data: one row per published figure, each with its source.

None was produced by this project. "Second-hand copy" in a source means that the figure was read in a faithful copy of
the table, not in the paper itself; whoever shows such a figure says so.
"""

from dasha.published.forecasting import ZERO_SHOT_MODELS, PublishedResult, published_forecasting
from dasha.published.tasks import PublishedScore, published_scores

__all__ = ["ZERO_SHOT_MODELS", "PublishedResult", "PublishedScore", "published_forecasting", "published_scores"]
