"""Plots of what the engine chose."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dasha.autoar import AutoAR
from dasha.errors import InvalidArgumentError


def plot_criterion(model: AutoAR, ax: Axes | None = None) -> Axes:
    """Draw the criterion over the lookbacks and mark the smallest.

    Args:
        model: Fitted model whose lookback was searched.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes.

    Raises:
        InvalidArgumentError: If the lookback was given, so that there is nothing to draw.
    """
    path = model.criterion_path_
    if not len(path):
        raise InvalidArgumentError("there is no criterion to plot: the lookback was given, or the data is constant")
    axes = ax if ax is not None else plt.subplots(figsize=(7, 3.5), layout="constrained")[1]
    axes.plot(np.arange(len(path)), path, linewidth=1.5)
    axes.plot(model.lookback_, path[model.lookback_], "o", label=f"chosen: {model.lookback_}")
    axes.set(
        xlabel="lookback (steps)",
        ylabel=model.config.criterion,
        title=f"Criterion by lookback (differencing {model.diff_order_})",
    )
    axes.legend(frameon=False)
    return axes


def plot_coefficients(model: AutoAR, ax: Axes | None = None) -> Axes:
    """Draw the lag coefficients of a fitted model.

    Args:
        model: Fitted model.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes.
    """
    coefficients = model.coefficients_
    axes = ax if ax is not None else plt.subplots(figsize=(7, 3.5), layout="constrained")[1]
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.vlines(np.arange(1, len(coefficients) + 1), 0.0, coefficients, linewidth=1.2)
    axes.set(
        xlabel="lag (steps)",
        ylabel="coefficient",
        title=f"Coefficients on the series differenced {model.diff_order_} times, standardised",
    )
    return axes
