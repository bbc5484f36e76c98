"""The runs of the benchmark: what is known comes from the store, the rest is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from darts_autoar.bench.ltsf.data import Dataset, horizons_of
from darts_autoar.bench.ltsf.protocol import CONTEXT, Picture, evaluate, fit, is_fitted_by_horizon, picture
from dasha.autoar import AutoAR
from dasha.bench.store import Results, Store
from dasha.report.selection import describe_weights

PACKAGES = ("numpy", "scipy", "torch")
_RECORD = "record"


@dataclass(frozen=True)
class Measurement:
    """One preset on one data set and horizon.

    Attributes:
        record: Scores, what was chosen, and seconds, for the JSON file.
        picture: Some of its forecasts.
        measured: When.
        environment: Versions and machine of then.
    """

    record: dict[str, Any]
    picture: Picture
    measured: str
    environment: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        presets: Arguments of `dasha.autoar.AutoAR` by preset.
        horizons: Instead of the published ones; None for these.
        rerun: Presets to measure anew.
        only_report: Measure nothing.
    """

    presets: dict[str, dict[str, Any]]
    horizons: Sequence[int] | None = None
    rerun: Sequence[str] = ()
    only_report: bool = False

    def horizons_of(self, name: str) -> Sequence[int]:
        """Horizons of a data set."""
        return self.horizons or horizons_of(name)

    def count(self, names: Sequence[str]) -> int:
        """Number of measurements on these data sets."""
        return sum(len(self.presets) * len(self.horizons_of(name)) for name in names)


def measure(
    dataset: Dataset, plan: Plan, store: Store, advance: Callable[[str, float], None] = lambda name, amount: None
) -> tuple[list[Measurement], list[str]]:
    """Measure all presets and horizons on one data set, or take what is known of them.

    Args:
        dataset: The data; horizons longer than its test part are left out.
        plan: What to measure.
        store: Where everything is kept as soon as it is measured.
        advance: Called with the name of what is measured next and 0, and with 1 when it is there.

    Returns:
        Measurements in the order of horizons, then presets; and remarks.
    """
    found: dict[tuple[int, str], Measurement] = {}
    remarks = []
    for preset, settings in plan.presets.items():
        model: AutoAR | None = None
        by_horizon = is_fitted_by_horizon(settings)
        for horizon in plan.horizons_of(dataset.name):
            name = f"{dataset.name}, horizon {horizon}, {preset}"
            if dataset.test - dataset.validation >= horizon:
                results = _open(store, dataset, preset, settings, horizon)
                if preset in plan.rerun:
                    results.forget()
                if not results.items and not plan.only_report:
                    advance(name, 0)
                    started = time.perf_counter()
                    if model is None or by_horizon:
                        model = fit(dataset, settings, horizon)
                    fit_seconds = time.perf_counter() - started
                    results.add(0, _score(model, dataset, preset, horizon, fit_seconds))
                    results.flush()
                if results.items:
                    found[horizon, preset] = _decode(results)
                elif results.outdated:
                    remarks.append(f"{name} was measured with other versions and is not shown")
            else:
                remarks.append(f"{name} is left out: the test part has {dataset.test - dataset.validation} rows")
            advance(name, 1)
    order = [(horizon, preset) for horizon in plan.horizons_of(dataset.name) for preset in plan.presets]
    return [found[key] for key in dict.fromkeys(order) if key in found], remarks


def _open(store: Store, dataset: Dataset, preset: str, settings: dict[str, Any], horizon: int) -> Results:
    return store.open(
        dataset.name,
        preset,
        str(horizon),
        settings={
            "dataset": dataset.name,
            "sha256": dataset.sha256,
            "split": [dataset.train, dataset.validation, dataset.test],
            "context": CONTEXT,
            "horizon": horizon,
            "model": settings,
        },
        packages=PACKAGES,
        is_ours=True,
    )


def _score(model: AutoAR, dataset: Dataset, preset: str, horizon: int, fit_seconds: float) -> dict[str, Any]:
    """Everything about one measurement, as an item of the store."""
    score = evaluate(model, dataset, horizon)
    is_trained = not model.config.is_zero_shot
    selection = model.selection_
    record = {
        "dataset": dataset.name,
        "horizon": horizon,
        "preset": preset,
        "mse": score.mse,
        "mae": score.mae,
        # Next to a selection, the auto-regression with a lookback of its own only fills gaps.
        "lookback": model.lookback_ if is_trained and selection is None else None,
        "diff_order": model.diff_order_ if is_trained and selection is None else None,
        "weighed": None if selection is None else describe_weights(selection),
        "fit_seconds": fit_seconds,
        "forecast_seconds": score.seconds,
    }
    return {_RECORD: json.dumps(record), **asdict(picture(model, dataset, horizon))}


def _decode(results: Results) -> Measurement:
    item = dict(results.items[0])
    record: dict[str, Any] = json.loads(str(item.pop(_RECORD)))
    return Measurement(record, Picture(**item), max(results.measured), results.environment)


def root_mean(records: Sequence[dict[str, Any]]) -> float | None:
    """Mean over the settings of sqrt(MSE), which the paper reports as RMSE."""
    return float(np.mean([record["mse"] ** 0.5 for record in records])) if records else None
