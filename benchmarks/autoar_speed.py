"""Speed of Auto-AR beside what else fits or forecasts such data, all in one run on one machine.

Measured, on the channels of one benchmark file (training + validation rows for fitting, test rows for forecasting):

* fitting all lookbacks 0 … 511: `AutoAR.fit` end to end (checks, scaling, KPSS or fixed differencing, criterion, final
  regression, residual scales), and its core alone (moments, one factorisation, one criterion);
* four explicit least-squares fits (lookbacks 64, 96, 128, 192): build the design matrix of all channels,
  ``numpy.linalg.lstsq``;
* Darts ``LinearRegressionModel(lags=512, output_chunk_length=96)`` fitted on the channels as separate series;
* statsforecast ``AutoARIMA(approximation=True)`` on the last channel, its latest 11,520 rows at most;
* historical forecasts in Darts, horizon 96, stride 1, over the test rows with 512 rows before them:
  ``AutoARModel`` (512 past rows) and that ``LinearRegressionModel``, both without retraining; once as whole forecasts
  (where both mostly make ``TimeSeries`` objects), once as last points only.

Figures are medians of several calls after one that is left out; single calls, without warm-up, are marked.

    python benchmarks/autoar_speed.py --data-dir DIR [--dataset ETTm1] [--skip-autoarima]
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _common import add_common_arguments, add_data_argument, measure, parse

from darts_autoar.bench.ltsf.data import Dataset, load
from dasha.autoar import AutoAR
from dasha.autoar.device import resolve_device
from dasha.autoar.moments import window_moments
from dasha.autoar.selection import information_criterion, nested_regression
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.errors import InvalidTableError

LOOKBACKS = (64, 96, 128, 192)


def engine_fit(dataset: Dataset, device: str, lookback: int, **settings: Any) -> Callable[[], Any]:
    train, validation = dataset.values[: dataset.train], dataset.values[dataset.train : dataset.validation]
    return lambda: AutoAR(max_lookback=lookback, device=device, **settings).fit(train, validation=validation)


def standardised_differences(dataset: Dataset) -> np.ndarray:
    train = dataset.values[: dataset.train]
    return np.diff((dataset.values[: dataset.validation] - train.mean(0)) / train.std(0), axis=0)


def engine_core(dataset: Dataset, device: str, lookback: int) -> Callable[[], Any]:
    values = torch.from_numpy(np.ascontiguousarray(standardised_differences(dataset).T)).to(resolve_device(device))

    def core() -> Any:
        regression = nested_regression(window_moments([values], lookback))
        return information_criterion("bic", regression.rss, regression.count).cpu()

    return core


def explicit_fits(dataset: Dataset, lookbacks: Sequence[int]) -> Callable[[], Any]:
    values = standardised_differences(dataset)

    def fits() -> None:
        for lookback in lookbacks:
            windows = np.lib.stride_tricks.sliding_window_view(values, lookback + 1, axis=0).reshape(-1, lookback + 1)
            X = np.column_stack([np.ones(len(windows)), windows[:, :-1]])
            np.linalg.lstsq(X, windows[:, -1], rcond=None)

    return fits


def auto_arima(dataset: Dataset, season: int, rows: int) -> Callable[[], Any]:
    from statsforecast.models import AutoARIMA

    values = np.ascontiguousarray(dataset.values[: dataset.validation, -1][-rows:])
    # The rule of R's auto.arima for such data; the exact search takes some ten minutes.
    return lambda: AutoARIMA(season_length=season, approximation=True).fit(values)


def channel_series(values: np.ndarray) -> list[Any]:
    from darts import TimeSeries

    return [TimeSeries.from_values(column[:, None]) for column in values.T]


def darts_models(dataset: Dataset, lookback: int, horizon: int, device: str) -> tuple[Callable[[], Any], ...]:
    """Fit of LinearRegressionModel and of AutoARModel, and historical forecasts of both."""
    from darts.models import LinearRegressionModel

    from darts_autoar import AutoARModel

    known = channel_series(dataset.values[: dataset.validation])
    test = channel_series(dataset.values[dataset.validation - lookback : dataset.test])
    linear = LinearRegressionModel(lags=lookback, output_chunk_length=horizon)
    search = AutoARModel(output_chunk_length=horizon, max_lookback=lookback, criterion="bic", device=device)
    # As many past values as the other: one is used up by differencing.
    ours = AutoARModel(output_chunk_length=horizon, lookback=lookback - 1, diff_order=1, device=device).fit(known)

    def history(model: Any, *, last_points_only: bool = False) -> Any:
        forecasts = model.historical_forecasts(
            test, retrain=False, forecast_horizon=horizon, stride=1, last_points_only=last_points_only
        )
        expected = len(test[0]) - lookback - horizon + 1
        if {len(origins) for origins in forecasts} != {expected}:
            raise RuntimeError(f"expected {expected} origins per series, got {sorted({*map(len, forecasts)})}")

    return (
        lambda: linear.fit(known),
        lambda: search.fit(known),
        lambda: history(linear),
        lambda: history(ours),
        lambda: history(linear, last_points_only=True),
        lambda: history(ours, last_points_only=True),
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    parser.add_argument("--dataset", default="ETTh1", help="file without .csv (default: ETTh1)")
    parser.add_argument("--skip-autoarima", action="store_true", help="leave out the slowest part")
    parser.add_argument("--skip-darts", action="store_true", help="leave out everything that needs Darts")
    parser.add_argument("--season", type=int, default=24, help="season of AutoARIMA in rows (default: 24)")
    parser.add_argument(
        "--autoarima-rows", type=int, default=11520, help="latest rows that AutoARIMA is fitted on (default: 11520)"
    )
    parser.add_argument("--lookback", type=int, default=512, help="past rows that the models may use (default: 512)")
    parser.add_argument("--horizon", type=int, default=96, help="steps of the historical forecasts (default: 96)")
    parser.add_argument("--repeats", type=int, default=9, help="calls of the fast parts (default: 9)")
    arguments = parse(parser, argv)
    try:
        dataset = load(arguments.dataset, arguments.data_dir)
    except InvalidTableError as error:
        skipped = {arguments.dataset: str(error)}
        show(f"Auto-AR speed, {arguments.dataset}", ("skipped",), [[str(error)]])
        if arguments.json:
            write_json(arguments.json, {"benchmark": "autoar_speed", "results": [], "skipped": skipped})
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    seconds, packages = time_all(dataset, arguments)
    # (measured against, ours, wanted at least)
    ratios = {
        "explicit fits / core": ("explicit fits", "engine core", 100),
        "explicit fits / fit, d = 1": ("explicit fits", "engine fit, d = 1", None),
        "explicit fits / fit, KPSS": ("explicit fits", "engine fit, KPSS", None),
        "LinearRegressionModel fit / fit, KPSS": ("LinearRegressionModel fit", "engine fit, KPSS", 30),
        "LinearRegressionModel fit / AutoARModel fit": ("LinearRegressionModel fit", "AutoARModel fit", None),
        "historical forecasts": ("LinearRegressionModel historical forecasts", "AutoARModel historical forecasts", 1),
        "historical last points": (
            "LinearRegressionModel historical last points",
            "AutoARModel historical last points",
            None,
        ),
        "AutoARIMA, one channel / fit, KPSS, all": ("AutoARIMA, one channel (1 call)", "engine fit, KPSS", 500),
    }
    measured = {
        name: {"ratio": seconds[theirs] / seconds[ours], "wanted": wanted}
        for name, (theirs, ours, wanted) in ratios.items()
        if theirs in seconds and ours in seconds
    }
    show(
        f"Auto-AR speed, {dataset.name}: {dataset.validation} rows × {dataset.values.shape[1]} channels to fit on",
        ("what", "seconds"),
        [[name, f"{value:.4f}"] for name, value in seconds.items()],
        "medians after one call left out; (1 call): a single call without warm-up",
    )
    show(
        "How many times as fast",
        ("ratio", "measured", "wanted"),
        [
            [name, f"{entry['ratio']:.1f}", f"≥ {entry['wanted']}" if entry["wanted"] else ""]
            for name, entry in measured.items()
        ],
    )
    content = {
        "benchmark": "autoar_speed",
        "environment": environment(arguments.device, *packages),
        "dataset": dataset.name,
        "rows": dataset.validation,
        "channels": dataset.values.shape[1],
        "seconds": seconds,
        "ratios": measured,
        "skipped": {},
    }
    if arguments.json:
        write_json(arguments.json, content)


def time_all(dataset: Dataset, arguments: argparse.Namespace) -> tuple[dict[str, float], list[str]]:
    """Seconds by name, and the further packages that took part."""
    device, lookback, repeats = arguments.device, arguments.lookback, arguments.repeats
    few = max(1, repeats // 3)
    packages: list[str] = []
    seconds: dict[str, float] = {}

    def record(name: str, call: Callable[[], Any], repeats: int, *, warm_up: bool = True) -> None:
        seconds[name] = measure(call, repeats=repeats, warm_up=warm_up)
        print(f"{name}: {seconds[name]:.4f} s", file=sys.stderr, flush=True)

    record("engine core", engine_core(dataset, device, lookback), repeats)
    record("engine fit, d = 1", engine_fit(dataset, device, lookback, diff_order=1), repeats)
    record("engine fit, KPSS", engine_fit(dataset, device, lookback), repeats)
    by_horizon = engine_fit(dataset, device, lookback, criterion="horizon_bic", horizon=arguments.horizon)
    record("engine fit, KPSS, horizon_bic", by_horizon, few)
    record("explicit fits", explicit_fits(dataset, [p for p in LOOKBACKS if p < lookback]), few)
    if not arguments.skip_darts:
        packages.append("darts")
        names = (
            "LinearRegressionModel fit",
            "AutoARModel fit",
            "LinearRegressionModel historical forecasts",
            "AutoARModel historical forecasts",
            "LinearRegressionModel historical last points",
            "AutoARModel historical last points",
        )
        for name, call in zip(names, darts_models(dataset, lookback, arguments.horizon, device), strict=True):
            record(name, call, few)
    if not arguments.skip_autoarima:
        packages.append("statsforecast")
        record(
            "AutoARIMA, one channel (1 call)",
            auto_arima(dataset, arguments.season, arguments.autoarima_rows),
            1,
            warm_up=False,
        )
    return seconds, packages


if __name__ == "__main__":
    main()
