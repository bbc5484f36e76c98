"""Plots of what the engine chose."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dasha.autoar import AutoAR
from dasha.errors import InvalidArgumentError
from dasha.report.selection import draw_selection, figure_size


def plot_criterion(model: AutoAR, ax: Axes | None = None) -> Axes:
    """Draw the criterion over the lookbacks and mark the smallest.

    Args:
        model: Fitted model whose lookback was searched.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes.

    Raises:
        InvalidArgumentError: If the lookback was given, or nothing was learned, so that there is nothing to draw.
    """
    if model.config.is_zero_shot:
        raise InvalidArgumentError("there is no criterion to plot: mode='zero-shot' chooses anew for every context")
    path = model.criterion_path_
    if not len(path):
        raise InvalidArgumentError("there is no criterion to plot: the lookback was given, or the data is constant")
    axes = ax if ax is not None else plt.subplots(figsize=(7, 3.5), layout="constrained")[1]
    axes.plot(np.arange(len(path)), path, linewidth=1.5)
    axes.plot(model.lookback_, path[model.lookback_], "o", label=f"chosen: {model.lookback_}")
    # Next to a strategy's maps, the auto-regression only fills gaps, and one step is what it is chosen for.
    is_helper = model.selection_ is not None
    axes.set(
        xlabel="lookback (steps)",
        ylabel=model.config.one_step_criterion if is_helper else model.config.criterion,
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


def plot_selection(model: AutoAR, ax: Axes | None = None) -> Axes:
    """Draw the candidates of the strategy: validation errors as bars, weights as numbers, the weighted mean as a line.

    Args:
        model: Model fitted with a strategy that weighs candidates.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes.

    Raises:
        InvalidArgumentError: If nothing was weighed.
    """
    if model.config.is_zero_shot:
        raise InvalidArgumentError("there is no selection to plot: mode='zero-shot' weighs no candidates")
    selection = model.selection_
    if selection is None:
        raise InvalidArgumentError(
            f"there is no selection to plot: strategy={model.config.strategy!r} with "
            f"pooling={model.config.pooled_over!r} weighs no candidates, or the data is constant; fit with "
            "strategy='auto', or see plot_criterion()"
        )
    axes = ax if ax is not None else plt.subplots(figsize=figure_size(selection), layout="constrained")[1]
    draw_selection(selection, axes, horizon=model.config.horizon)
    return axes
