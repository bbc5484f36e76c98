"""``dasha backtest --engine ray``: local models are fitted on workers, and the forecasts are those of one process."""

import json
import os
import pickle
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from darts import TimeSeries

from darts_autoar import ray_engine
from darts_autoar.baselines import Baseline, choose_baselines
from darts_autoar.comparison import compare
from darts_autoar.tasks import Task
from darts_autoar.windows import plan_windows
from dasha.cli import main
from dasha.errors import DashaError

LENGTHS = (60, 34, 90, 41, 75)


@pytest.fixture
def tasks():
    """Five series of two columns and unequal length, with gaps at the beginning, inside and at the end of histories."""
    generator, tasks = np.random.default_rng(0), []
    for number, length in enumerate(LENGTHS):
        steps = np.arange(length)
        cycle = np.stack([np.sin(np.pi * steps / 6), np.cos(np.pi * steps / 6)], axis=1)
        values = 10.0**number * (10 + cycle + 0.1 * generator.normal(size=(length, 2)))
        values[generator.random(values.shape) < 0.1] = np.nan
        values[[0, -9], 1] = np.nan
        index = pd.date_range(f"201{number}-01-01", periods=length, freq="MS")
        plan = plan_windows(index, horizon=4, count=1 + number % 3, stride=3)
        tasks.append(Task(values, index, plan, season_length=12, local_rows=40, name=f"s{number}"))
    return tasks


@pytest.fixture
def file(tasks, tmp_path):
    parts = [pd.DataFrame({"id": one.name, "month": one.index, "y": one.values[:, 0]}) for one in tasks]
    pd.concat(parts).to_csv(tmp_path / "long.csv", index=False)
    return tmp_path / "long.csv"


class RaisedThereError(Exception):
    pass


class Inline:
    """A Ray that does tasks in this process, on arguments that cannot be written to; ``latest`` says which first."""

    exceptions = SimpleNamespace(RayTaskError=RaisedThereError)

    def __init__(self):
        self.waiting, self.sizes, self.cancelled, self.latest = {}, [], 0, True

    def remote(self, function):
        def submit(*arguments):
            buffers = []
            data = pickle.dumps(arguments, protocol=5, buffer_callback=buffers.append)
            self.waiting[task := object()] = function, data, [bytes(buffer) for buffer in buffers]
            return task

        return SimpleNamespace(remote=submit)

    def cluster_resources(self):
        return {"CPU": 2.0}

    def wait(self, tasks):
        assert set(tasks) == set(self.waiting)
        assert len(tasks) <= 4
        return ([tasks[-1]], tasks[:-1]) if self.latest else ([tasks[0]], tasks[1:])

    def get(self, task):
        function, data, buffers = self.waiting.pop(task)
        found = function(*pickle.loads(data, buffers=buffers))
        if found is not None:
            self.sizes.append(len(found))
        return found

    def cancel(self, task):
        del self.waiting[task]
        self.cancelled += 1


@pytest.fixture
def inline(monkeypatch):
    inline = Inline()

    @contextmanager
    def connected():
        yield inline

    monkeypatch.setattr(ray_engine, "connected", connected)
    monkeypatch.setitem(sys.modules, "ray", inline)
    return inline


class Picky:
    """A model that refuses short histories."""

    supports_transferable_series_prediction = False

    def untrained_model(self):
        return self

    def fit(self, series):
        if len(series) < 37:
            raise ArithmeticError(f"no\nsuch luck with {len(series)} rows")
        return self

    def predict(self, horizon):
        return TimeSeries.from_values(np.zeros(horizon))


def build_picky(setting):
    return Picky()


class Deadly(Picky):
    """A model that ends its process, once for every file that is there."""

    def __init__(self, folder):
        self.folder = folder

    def fit(self, series):
        for path in self.folder.glob("death-*"):
            path.unlink()
            os._exit(1)
        return self


def assert_same(found, wanted):
    assert [outcome.label for outcome in found] == [outcome.label for outcome in wanted]
    for one, two in zip(found, wanted, strict=True):
        assert (one.error, two.error) == ("", "")
        for ours, theirs in zip(one.forecasts, two.forecasts, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def compared(tasks, models, engine):
    """Return the outcomes and how far every model got."""
    parts = {}
    outcomes = compare(
        tasks,
        models,
        engine=engine,
        advance=lambda name, amount: parts.update({name: parts.get(name, 0) + amount}),
    )
    assert all(outcome.seconds > 0 for outcome in outcomes)
    return outcomes, parts


@pytest.mark.parametrize("refit", [True, False])
def test_forecasts_and_progress_are_those_of_one_process(inline, tasks, refit):
    tasks = [Task(**(vars(task) | {"refit": refit})) for task in tasks]
    models = choose_baselines(["naive", "drift", "linear", "theta"])
    found, parts = compared(tasks, models, "ray")
    wanted, local_parts = compared(tasks, models, "local")
    assert_same(found, wanted)
    assert parts == pytest.approx(dict.fromkeys(local_parts, 1.0))
    windows = 2 * sum(len(task.windows.origins) for task in tasks)
    assert sum(inline.sizes) == 3 * (windows if refit else 2 * len(tasks))


def test_windows_of_a_single_series_are_spread(inline, tasks):
    one = [Task(**(vars(tasks[2]) | {"name": ""}))]
    assert_same(compared(one, choose_baselines(["naive"]), "ray")[0], compare(one, choose_baselines(["naive"])))
    assert sum(inline.sizes) == 2 * 3
    assert len(inline.sizes) >= 4


@pytest.mark.parametrize(
    ("left", "pace", "count"),
    [(4000, float("inf"), 1), (4000, 0.1, 20), (4000, 0.001, 200), (100, 0.001, 13), (4000, 60.0, 1), (3, 0.0, 1)],
)
def test_batches_are_neither_tiny_nor_huge(left, pace, count):
    assert ray_engine._pieces_of_a_batch(left, 8, pace) == count


@pytest.mark.parametrize("latest", [True, False])
def test_a_failure_is_the_first_of_one_process(inline, tasks, latest):
    """Both windows of the second series fail, in whichever order that comes out."""
    inline.latest = latest
    models = [Baseline("Picky", build_picky), *choose_baselines(["naive"])]
    found, wanted = compare(tasks, models, engine="ray"), compare(tasks, models)
    text = "RuntimeError: failed on series 's1': ArithmeticError: no such luck with 27 rows"
    assert found[1].error == wanted[1].error == text
    assert found[1].forecasts is None
    assert found[2].error == ""
    assert (inline.cancelled == 0) == latest
    assert not inline.waiting
    single = compare(tasks[1:2], models[:1], engine="ray")[1]
    assert single.error == "ArithmeticError: no such luck with 27 rows"


def test_a_batch_that_dies_again_and_again_is_the_failure_of_one_model(inline, tasks, monkeypatch):
    get = inline.get

    def lost(task):
        if inline.waiting[task][0] is ray_engine.fit_columns and not inline.sizes:
            inline.waiting.pop(task)
            inline.sizes.append(0)
            raise ConnectionError("The worker died unexpectedly.\nRead the logs.")
        return get(task)

    monkeypatch.setattr(inline, "get", lost)
    outcomes = compare(tasks, choose_baselines(["naive", "drift"]), engine="ray")
    expected = (
        "DashaError: fitting Seasonal naive on series 's2' failed on a worker of Ray: The worker died unexpectedly."
    )
    assert (outcomes[1].error, outcomes[2].error) == (expected, "")


def test_workers_that_lack_the_package_are_found_before_the_work(inline, tasks, monkeypatch):
    def get(task):
        raise RaisedThereError("ray::load_libraries()\n  Traceback\nModuleNotFoundError: No module named 'darts'")

    monkeypatch.setattr(inline, "get", get)
    monkeypatch.setattr("darts_autoar.comparison._auto_ar", lambda *arguments: pytest.fail("worked first"))
    message = (
        r"importing Darts failed .* No module named 'darts'; dasha-plugins\[darts,ray\] must be installed on every"
    )
    with pytest.raises(DashaError, match=message):
        compare(tasks, choose_baselines(["naive"]), engine="ray")
    monkeypatch.undo()
    assert compare(tasks, choose_baselines(["linear"]), engine="ray")[1].error == ""  # nothing to do for Ray


def test_the_command_says_where_models_were_fitted(inline, file, tmp_path, capsys):
    arguments = ["backtest", str(file), "--id-column", "id", "--horizon", "4", "--against", "naive,theta", "--json"]
    results = []
    for engine in ("local", "ray"):
        assert main([*arguments, "--engine", engine, "--out", str(tmp_path / engine)]) == 0
        results.append(json.loads(capsys.readouterr().out))
        assert json.loads((tmp_path / engine / "backtest.json").read_text())["engine"] == engine
    note = "They ran on workers of Ray, and their seconds are the sum over all fits and forecasts there"
    assert [note in one["notes"][1] for one in results] == [False, True]
    assert note in (tmp_path / "ray" / "report.html").read_text()
    for one in results:
        for row in one["scores"]:
            row.pop("seconds")
    assert results[0]["scores"] == results[1]["scores"]
    assert sum(inline.sizes) == 2 * len(LENGTHS)


def test_without_ray_the_error_names_the_command(file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("dasha.tables.read_series", lambda *arguments, **options: pytest.fail("worked first"))
    assert main(["backtest", str(file), "--horizon", "4", "--engine", "ray"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "pip install 'dasha-plugins[ray]'" in captured.err


@pytest.mark.slow
def test_ray_gives_the_same_forecasts(ray, tasks, capfd):
    models = choose_baselines(["naive", "linear", "theta", "ets"])
    capfd.readouterr()
    found, parts = compared(tasks, models, "ray")
    assert capfd.readouterr() == ("", "")
    assert_same(found, compare(tasks, models))
    assert parts == pytest.approx(dict.fromkeys(parts, 1.0))
    assert ray.is_initialized()


@pytest.mark.slow
def test_a_failure_on_ray_is_that_of_one_process(ray, tasks):
    models = [Baseline("Picky", build_picky), *choose_baselines(["naive"])]
    found, wanted = compare(tasks, models, engine="ray"), compare(tasks, models)
    assert found[1].error == wanted[1].error
    assert "failed on series 's1': ArithmeticError" in found[1].error
    assert found[2].error == ""


@pytest.mark.slow
def test_a_dead_worker_is_replaced(ray, tasks, tmp_path):
    (tmp_path / "death-0").touch()
    folder = tmp_path
    outcome = compare(tasks[:2], [Baseline("Deadly", lambda setting: Deadly(folder))], engine="ray")[1]
    assert outcome.error == ""
    assert [block.shape for block in outcome.forecasts] == [(1, 4, 2), (2, 4, 2)]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_ray_at_an_address_is_used_and_leaves_the_output_alone(ray, dasha_cli, file, capsys):
    arguments = ["backtest", str(file), "--id-column", "id", "--horizon", "4", "--against", "naive,theta", "--json"]
    address = ray.get_runtime_context().gcs_address
    result = dasha_cli(*arguments, "--engine", "ray", timeout=300, RAY_ADDRESS=address)
    own = [line for line in result.stderr.splitlines() if "(raylet)" not in line]  # warnings of a busy machine
    assert (result.returncode, own) == (0, [])
    assert main(arguments) == 0
    found, wanted = json.loads(result.stdout), json.loads(capsys.readouterr().out)
    assert [row["mase"] for row in found["scores"]] == [row["mase"] for row in wanted["scores"]]
    assert found["engine"] == "ray"
