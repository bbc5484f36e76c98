"""Accuracy of Auto-AR on the long-term forecasting benchmark, by the protocol of arXiv 2411.02796.

Measured: MSE and MAE of forecasts from every origin of the test part (stride 1, no batch dropped), averaged over
origins, channels and steps on the scale standardised with the training part; the mean of the root of the MSE over all
settings; seconds of fitting (training + validation rows) and of forecasting. A forecast sees 512 rows at most; the
preset "zero-shot" sees nothing else, the others learn from the training and validation rows. Published figures are
shown beside these, each with its source in the JSON file.

Splits: ETTh 8640/2880/2880 rows, ETTm four times that, other files 70/10/20 % of the rows. Horizons 96, 192, 336 and
720, for national_illness 24, 36, 48 and 60.

    python benchmarks/ltsf.py --preset paper --data-dir DIR
    python benchmarks/ltsf.py --preset auto zero-shot --datasets ETTh1 --data-dir DIR --json FILE
    python benchmarks/ltsf.py --lookback 511 --diff-order 1 --datasets ETTh1 --data-dir DIR
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import _ltsf_published as others
import numpy as np
from _common import (
    LTSF_NAMES,
    Dataset,
    add_common_arguments,
    add_data_argument,
    datasets,
    environment,
    parse,
    show,
    write_json,
)

from dasha.autoar import AutoAR
from dasha.errors import InvalidArgumentError

CONTEXT = 512
_PAPER: dict[str, Any] = {
    "strategy": "recursive",
    "pooling": None,
    "criterion": "horizon_bic",
    "max_lookback": 512,
    "diff_order": "kpss",
    "lookback": None,
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    "auto": {**_PAPER, "strategy": "auto"},
    "direct": {**_PAPER, "strategy": "direct", "pooling": "pooled"},
    "average": {**_PAPER, "strategy": "average"},
    "zero-shot": {"mode": "zero-shot", "max_lookback": CONTEXT},
}
# Forecast values held at once.
_CHUNK_ELEMENTS = 1 << 24


def horizons_of(name: str) -> tuple[int, ...]:
    return (24, 36, 48, 60) if name == "national_illness" else (96, 192, 336, 720)


def fit(dataset: Dataset, settings: dict[str, Any], horizon: int) -> AutoAR:
    """Model of the training and validation rows; there is nothing to fit without training."""
    model = AutoAR(**settings)
    if model.config.is_zero_shot:
        return model
    train = dataset.values[: dataset.train]
    return AutoAR(**settings, horizon=horizon).fit(train, validation=dataset.values[dataset.train : dataset.validation])


def evaluate(model: AutoAR, dataset: Dataset, horizon: int) -> tuple[float, float]:
    """MSE and MAE over all origins of the test part, accumulated once over all predictions."""
    context = min(CONTEXT, dataset.validation)
    rows = dataset.values[dataset.validation - context : dataset.test]
    std = dataset.values[: dataset.train].std(0)
    std[std == 0] = 1.0
    origins = np.arange(context, len(rows) - horizon + 1)
    chunk = max(1, _CHUNK_ELEMENTS // (horizon * rows.shape[1]))
    squares = absolutes = 0.0
    for start in range(0, len(origins), chunk):
        chosen = origins[start : start + chunk]
        actual = rows[chosen[:, None] + np.arange(horizon)]  # (N, H, C)
        errors = (model.predict_origins(horizon, rows[: chosen[-1]], chosen).mean - actual) / std
        squares += float((errors**2).sum())
        absolutes += float(np.abs(errors).sum())
    count = len(origins) * horizon * rows.shape[1]
    return squares / count, absolutes / count


def run(dataset: Dataset, preset: str, settings: dict[str, Any], horizons: Sequence[int]) -> list[dict[str, Any]]:
    results = []
    config = AutoAR(**settings).config
    # Only these choose, or estimate, something else for another horizon.
    by_horizon = config.needs_maps or (config.lookback is None and config.criterion in ("horizon_bic", "validation"))
    model: AutoAR | None = None
    for horizon in horizons:
        if len(dataset.values) - dataset.validation < horizon:
            continue
        start = time.perf_counter()
        if model is None or by_horizon:
            model = fit(dataset, settings, horizon)
        fitted = time.perf_counter()
        mse, mae = evaluate(model, dataset, horizon)
        results.append(
            {
                "dataset": dataset.name,
                "horizon": horizon,
                "preset": preset,
                "mse": mse,
                "mae": mae,
                "lookback": None if config.is_zero_shot else model.lookback_,
                "diff_order": None if config.is_zero_shot else model.diff_order_,
                "fit_seconds": fitted - start,
                "forecast_seconds": time.perf_counter() - fitted,
            }
        )
    return results


def root_mean(results: Sequence[dict[str, Any]]) -> float | None:
    """Mean over the settings of sqrt(MSE), which the paper reports as RMSE."""
    return float(np.mean([result["mse"] ** 0.5 for result in results])) if results else None


def print_results(results: Sequence[dict[str, Any]], overall: dict[str, float | None], changed: str) -> None:
    rows = [
        [
            result["dataset"],
            str(result["horizon"]),
            result["preset"],
            f"{result['mse']:.4f}",
            f"{result['mae']:.4f}",
            _number(result["lookback"]),
            _number(result["diff_order"]),
            f"{result['fit_seconds']:.2f}",
            f"{result['forecast_seconds']:.2f}",
        ]
        for result in results
    ]
    columns = ("data", "horizon", "preset", "MSE", "MAE", "lookback", "d", "fit s", "forecast s")
    means = [f"{preset} {value:.4f}" for preset, value in overall.items() if value is not None]
    caption = f"mean of sqrt(MSE): {', '.join(means)}" if means else "no data"
    show(f"Auto-AR, long-term forecasting benchmark{changed}", columns, rows, caption)
    if results:
        show("MSE beside published figures", *others.comparison(results), others.CAPTION)
    columns, rows = others.foundation_models(results)
    if rows:
        show("Published MSE of zero-shot foundation models", columns, rows, others.CAPTION)


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    parser.add_argument("--datasets", nargs="+", default=LTSF_NAMES, metavar="NAME", help="files without .csv")
    parser.add_argument("--horizons", nargs="+", type=int, help="instead of the published ones")
    parser.add_argument(
        "--preset",
        nargs="+",
        choices=PRESETS,
        default=["paper"],
        help="settings, one or several; the options below replace single ones in all of them",
    )
    parser.add_argument("--strategy")
    parser.add_argument("--pooling")
    parser.add_argument("--criterion")
    parser.add_argument("--max-lookback", type=int)
    parser.add_argument("--lookback", type=int, help="fixed lookback instead of a search")
    parser.add_argument("--diff-order", type=lambda text: int(text) if text.isdecimal() else text)
    arguments = parse(parser, argv)
    given = {name: getattr(arguments, name) for name in PRESETS["paper"] if getattr(arguments, name) is not None}
    presets = list(dict.fromkeys(arguments.preset))
    settings = {preset: {**PRESETS[preset], **given, "device": arguments.device} for preset in presets}
    try:
        for preset in presets:
            AutoAR(**settings[preset])
    except InvalidArgumentError as error:
        parser.error(f"preset {preset}: {error}")
    skipped: dict[str, str] = {}
    results: list[dict[str, Any]] = []
    for dataset in datasets(arguments.datasets, arguments.data_dir, skipped):
        by_preset = [
            run(dataset, preset, settings[preset], arguments.horizons or horizons_of(dataset.name))
            for preset in presets
        ]
        results += [result for horizon in zip(*by_preset, strict=True) for result in horizon]
    by_preset = {preset: [result for result in results if result["preset"] == preset] for preset in presets}
    overall = {preset: root_mean(own) for preset, own in by_preset.items()}
    changed = f", with {', '.join(f'{name}={value}' for name, value in given.items())}" if given else ""
    print_results(results, overall, changed)
    names = dict.fromkeys(result["dataset"] for result in results)
    content = {
        "benchmark": "ltsf",
        "environment": environment(arguments.device, "pandas"),
        "settings": settings,
        "results": results,
        "mean_root_mse": overall,
        "mean_root_mse_by_dataset": {
            preset: {name: root_mean([result for result in own if result["dataset"] == name]) for name in names}
            for preset, own in by_preset.items()
        },
        "published": others.published_rows(results),
        "skipped": skipped,
    }
    write_json(arguments.json, content)


if __name__ == "__main__":
    main()
