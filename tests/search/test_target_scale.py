"""Numbers to predict may have any unit: the network learns standard targets, and gives those of the data."""

import json

import numpy as np
import pytest
import torch

from dasha import Dasha, TaskSpec
from dasha.search import load_model, load_search
from dasha.search.model import read_plan
from dasha.search.units import TargetScale

TINY = {
    **{"precision": "float32", "search.epochs": 1, "search.kernel_sizes": (3, 5), "search.dilations": (1,), "width": 1},
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


COUNTS = TaskSpec("regression", 1, 2, loss="poisson")
RATES = np.exp(np.stack([X[:, 0, 4:8].mean(1), X[:, 0, :4].mean(1)], 1))


@pytest.mark.parametrize("scale", [1, 100])
def test_counts_are_learnt_as_shares_of_their_mean(scale, tmp_path):
    y = np.random.default_rng(1).poisson(50 * RATES) * np.array([scale, 1])
    run = run_of(COUNTS, tmp_path / "run").fit((X[:60], y[:60]), (X[60:75], y[60:75]))
    plan = load_search(tmp_path / "run").plan
    assert plan.target_scale == {"mean": pytest.approx(y[:60].mean(0))}
    predicted = run.predict(X[75:])
    assert np.abs(np.log(predicted.mean(0) / y[75:].mean(0))).max() < 0.5
    # What is told is of counts, and what is kept gives the logarithm of counts.
    outputs = load_model(tmp_path / "run")(torch.from_numpy(X[75:])).detach()
    np.testing.assert_allclose(outputs.exp(), predicted, rtol=1e-5)
    metrics = run.evaluate((X[75:], y[75:])).metrics
    assert metrics["loss"] == pytest.approx(np.mean(predicted - y[75:] * np.log(predicted)), rel=1e-4)
    assert metrics["mse"] == pytest.approx(np.mean((predicted - y[75:]) ** 2), rel=1e-3)


def test_how_large_counts_are_changes_nothing_but_the_predictions(tmp_path):
    y = np.random.default_rng(1).poisson(50 * RATES)
    runs = [
        run_of(COUNTS, tmp_path / str(unit)).fit((X[:60], unit * y[:60]), (X[60:75], unit * y[60:75]))
        for unit in (1, 1000)
    ]
    small, large = (run.predict(X[75:]) for run in runs)
    np.testing.assert_allclose(large / 1000, small, rtol=0.01)


def test_a_run_whose_search_learnt_counts_as_they_are_goes_on_so(tmp_path):
    y = np.random.default_rng(1).poisson(2 * RATES)
    data = (X[:60], y[:60]), (X[60:75], y[60:75])
    run_of(COUNTS, tmp_path / "run").search(*data)
    file = tmp_path / "run" / "plan.json"
    content = json.loads(file.read_text())
    content["plan"]["target_scale"] = {}
    file.write_text(json.dumps(content))
    run = run_of(COUNTS, tmp_path / "run").fit(*data)
    assert read_plan(tmp_path / "run").target_scale == {}
    outputs = load_model(tmp_path / "run")(torch.from_numpy(X[75:])).detach()
    np.testing.assert_allclose(outputs.exp(), run.predict(X[75:]), rtol=1e-5)


@pytest.mark.parametrize("gives_units", [True, False])
def test_losses_of_counts(gives_units):
    scale = TargetScale.of_task(COUNTS, {"mean": [8.0, 0.0]}, ndim=1)
    outputs, counts = torch.randn(5, 2), torch.tensor([3.0, 0.0]).expand(5, 2)
    given = scale(outputs) if gives_units else outputs
    torch.testing.assert_close(scale(torch.zeros(1, 2)).exp(), torch.tensor([[8.0, 1.0]]))
    told = scale.loss_function(COUNTS.loss_function(), gives_units=gives_units)(given, counts)
    rates = outputs.exp() * torch.tensor([8.0, 1.0])
    torch.testing.assert_close(told, (rates - counts * rates.log()).mean())
    trained = scale.training_loss(COUNTS.loss_function(), gives_units=gives_units)(given, counts)
    shares = counts / torch.tensor([8.0, 1.0])
    torch.testing.assert_close(trained, (outputs.exp() - shares * outputs).mean())


@pytest.mark.parametrize("loss", ["mse", "poisson"])
def test_no_trial_is_lost_on_numbers_to_large_features(loss, tmp_path):
    y = np.random.default_rng(1).poisson(50 * RATES)
    changes = {**TINY, "tune.trials": 3, "tune.lr": (0.03, 0.3), "retrain.epochs": 1}
    task = TaskSpec("regression", 1, 2, loss=loss)
    run = Dasha(task, tmp_path / "run", backbone="peak_resnet_1d", budget="smoke", overrides=changes, is_shown=False)
    run.fit((X[:60], y[:60]), (X[60:75], y[60:75]))
    trials = json.loads((tmp_path / "run" / "tune.json").read_text())["trials"]
    assert {trial["state"] for trial in trials} == {"complete"}


def test_a_constant_target_has_a_spread_of_1(tmp_path):
    run, _ = fitted("regression", (7.0, 0.0), (0.0, 1.0), tmp_path / "run")
    assert load_search(tmp_path / "run").plan.target_scale["std"][0] == 1.0
    np.testing.assert_allclose(run.predict(X[75:])[:, 0], 7.0, atol=1.5)


def test_true_and_false_are_learnt_as_1_and_0(tmp_path):
    task, y = TaskSpec("regression", 1, 1), X[:, 0, :6].sum(1) > 0
    given = {"flags": y, "numbers": y.astype("float32")}
    runs = [run_of(task, tmp_path / name).fit((X[:60], y[:60]), (X[60:75], y[60:75])) for name, y in given.items()]
    assert np.array_equal(*(run.predict(X[75:]) for run in runs))
    assert runs[0].evaluate((X[75:], y[75:])).metrics == runs[1].evaluate((X[75:], given["numbers"][75:])).metrics


def test_scale_and_its_inverse():
    scale = TargetScale([300.0, 1.0], [5.0, 0.1], ndim=1)
    targets = torch.randn(3, 2, 7)
    torch.testing.assert_close(scale.standardized(scale(targets)), targets, rtol=0, atol=1e-4)
    loss = scale.loss_function(torch.nn.functional.mse_loss, gives_units=True)
    apart = scale(targets) + torch.tensor([[5.0], [0.1]])
    assert float(loss(scale(targets), apart)) == pytest.approx(1.0, rel=1e-4)
