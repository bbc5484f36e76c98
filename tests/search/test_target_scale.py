"""Numbers to predict may have any unit: the network learns standard targets, and gives those of the data."""

import json

import numpy as np
import pytest
import torch

from dasha import Dasha, TaskSpec
from dasha.search import load_model, load_search
from dasha.search.units import TargetScale

TINY = {
    **{"search.epochs": 1, "search.kernel_sizes": (3, 5), "search.dilations": (1,), "width": 1},
    **{"tune.trials": 1, "tune.max_resource": 1, "tune.lr": (0.001, 0.01), "retrain.epochs": 4},
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 1, 12)).astype("float32")
STANDARD = {
    "regression": np.stack([X[:, 0, 4:8].sum(1), X[:, 0, :4].sum(1)], 1),
    "dense_regression": np.stack([X[:, 0], -X[:, 0]], 1),
}


def run_of(task, folder):
    return Dasha(task, folder, backbone="wide_resnet_1d", budget="smoke", overrides=TINY, is_shown=False)


def in_unit(kind, values, mean, spread):
    shape = (-1, 1) if kind == "dense_regression" else (-1,)
    return np.reshape(np.float32(mean), shape) + np.reshape(np.float32(spread), shape) * values


def fitted(kind, mean, spread, folder):
    """A run on targets of a unit, and the targets."""
    y = in_unit(kind, STANDARD[kind], mean, spread)
    return run_of(TaskSpec(kind, 1, 2), folder).fit((X[:60], y[:60]), (X[60:75], y[60:75])), y


@pytest.mark.parametrize("kind", STANDARD)
def test_a_unit_changes_nothing_but_the_unit(kind, tmp_path):
    unit = (300.0, -1e4), (5.0, 2e3)
    plain, y = fitted(kind, (0, 0), (1, 1), tmp_path / "plain")
    other, y_other = fitted(kind, *unit, tmp_path / "other")
    predicted = other.predict(X[75:])
    error = predicted - in_unit(kind, plain.predict(X[75:]), *unit)
    assert np.abs(error / in_unit(kind, 1, (0, 0), unit[1])).max() < 0.01

    # Metrics are in the unit, losses are not.
    metrics = other.evaluate((X[75:], y_other[75:])).metrics
    before = plain.evaluate((X[75:], y[75:])).metrics
    assert metrics["loss"] == pytest.approx(before["loss"], rel=0.01)
    assert metrics["r2"] == pytest.approx(before["r2"], abs=0.01)
    assert metrics["mse"] == pytest.approx(np.mean((predicted - y_other[75:]) ** 2), rel=1e-3)

    # What is kept gives the unit, too.
    assert np.allclose(load_model(tmp_path / "other")(torch.from_numpy(X[75:])).detach(), predicted)
    scale = load_search(tmp_path / "other").plan.target_scale
    assert scale["std"][1] / scale["std"][0] == pytest.approx(400, rel=0.2)
    assert json.loads((tmp_path / "other" / "plan.json").read_text())["plan"]["target_scale"] == scale


def test_counts_are_learnt_as_they_are(tmp_path):
    counts = RNG.poisson(4, (90, 1))
    run = run_of(TaskSpec("regression", 1, 1, loss="poisson"), tmp_path / "run")
    assert run.search((X[:60], counts[:60]), (X[60:75], counts[60:75])).plan.target_scale == {}


def test_a_constant_target_has_a_spread_of_1(tmp_path):
    run, _ = fitted("regression", (7.0, 0.0), (0.0, 1.0), tmp_path / "run")
    assert load_search(tmp_path / "run").plan.target_scale["std"][0] == 1.0
    np.testing.assert_allclose(run.predict(X[75:])[:, 0], 7.0, atol=1.5)


def test_scale_and_its_inverse():
    scale = TargetScale([300.0, 1.0], [5.0, 0.1], ndim=1)
    targets = torch.randn(3, 2, 7)
    torch.testing.assert_close(scale.standardized(scale(targets)), targets, rtol=0, atol=1e-4)
    loss = scale.loss_function(torch.nn.functional.mse_loss, gives_units=True)
    apart = scale(targets) + torch.tensor([[5.0], [0.1]])
    assert float(loss(scale(targets), apart)) == pytest.approx(1.0, rel=1e-4)
