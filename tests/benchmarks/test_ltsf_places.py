"""Ranks of our figures among published ones, counted by hand."""

from __future__ import annotations

import pytest

from darts_autoar.bench.ltsf.published import mean_place, place, place_rows
from dasha.published import published_forecasting


def record(mse: float, dataset: str = "ETTh1", horizon: int = 96) -> dict[str, object]:
    return {"dataset": dataset, "horizon": horizon, "preset": "paper", "mse": mse}


def test_place_among_published_figures():
    figures = published_forecasting("ETTh1", 96, "mse")
    trained = [figure.value for figure in figures if not figure.is_zero_shot]
    assert (figures[0].value, figures[1].value) == (0.357, 0.364)
    best = place(record(0.1))
    assert (best.rank, best.of, str(best)) == (1, len(figures) + 1, f"1 of {len(figures) + 1}")
    # Rounded as published: .3565 is .357 or .356, .3571 is .357 and shares the first two places.
    assert place(record(0.3571)).rank == 1.5
    assert place(record(0.36)).rank == 2
    assert place(record(9.9)).rank == len(figures) + 1
    assert place(record(0.36), "trained").of == len(trained) + 1
    assert place(record(0.36), "zero_shot").rank == 2
    assert place(record(0.36, horizon=7)) is None


def test_mean_places_are_over_settings_with_published_figures():
    records = [record(0.1), record(9.9), record(0.1, horizon=7)]
    of = place(record(0.1)).of
    assert mean_place(records) == (pytest.approx((1 + of) / 2), of, 2)
    assert mean_place(records[2:]) is None
    rows = place_rows(records)
    assert [row["mse"]["all"]["rank"] for row in rows] == [1, of]
    assert mean_place([record(2.0, "national_illness", 24)], "zero_shot") is None
