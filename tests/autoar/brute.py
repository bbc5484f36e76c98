"""The obvious, slow way to everything the engine does, to compare with."""

from __future__ import annotations

import numpy as np
import torch

Channels = list[np.ndarray]


def bridge(values: np.ndarray) -> np.ndarray:
    """Gaps of up to six steps between two observed values as straight lines, one after the other."""
    result, before = values.copy(), None
    for step, value in enumerate(values):
        if np.isnan(value):
            continue
        if before is not None and 1 < step - before <= 7:
            for missing in range(before + 1, step):
                share = (missing - before) / (step - before)
                result[missing] = values[before] + share * (value - values[before])
        before = step
    return result


def explicit_windows(channels: Channels, length: int) -> np.ndarray:
    """Every gap-free window of every channel, newest value first, shape ``(N, length)``."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(channel, length)[:, ::-1]
        for channel in channels
        if len(channel) >= length
    ]
    stacked = np.concatenate([np.empty((0, length)), *windows])
    return stacked[~np.isnan(stacked).any(1)]


def design(channels: Channels, max_lookback: int) -> tuple[np.ndarray, np.ndarray]:
    """Design matrix ``[1, lag 1 … lag P]`` and target of the common sample."""
    windows = explicit_windows(channels, max_lookback + 1)
    return np.column_stack([np.ones(len(windows)), windows[:, 1:]]), windows[:, 0]


def recursion(history: np.ndarray, coefficients: np.ndarray, intercept: float, order: int, horizon: int) -> np.ndarray:
    """Difference, forecast one step after the other, integrate again."""
    levels = [np.diff(history, n=n) for n in range(order + 1)]
    past = list(levels[order])
    lookback = len(coefficients)
    steps = []
    for _ in range(horizon):
        value = intercept + sum(coefficients[i] * past[-1 - i] for i in range(lookback))
        past.append(value)
        steps.append(value)
    path = np.array(steps)
    for n in reversed(range(order)):
        path = levels[n][-1] + np.cumsum(path)
    return path


def block(channels: Channels) -> torch.Tensor:
    """Channels as one block ``(C, T)``, padded with NaN."""
    width = max(len(channel) for channel in channels)
    padded = [np.pad(channel, (0, width - len(channel)), constant_values=np.nan) for channel in channels]
    return torch.from_numpy(np.stack(padded))


def autoregressive(
    rng: np.random.Generator, steps: int, coefficients: tuple[float, ...] = (0.6, -0.2, 0.3), scale: float = 1.0
) -> np.ndarray:
    """A stationary sample path."""
    noise = scale * rng.standard_normal(steps + 200)
    values = np.zeros(steps + 200)
    for t in range(len(coefficients), len(values)):
        values[t] = sum(phi * values[t - 1 - i] for i, phi in enumerate(coefficients)) + noise[t]
    return values[200:]
