"""Trials on workers of Ray: the settings, scores and record are those of trials in this process."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dasha import TaskSpec
from dasha.data.split import as_split
from dasha.errors import DashaError, DashaWarning, InvalidArgumentError
from dasha.report.run import write_report
from dasha.search.progress import Silent
from dasha.search.run_folder import RunFolder
from dasha.search.settings import TuneSettings
from dasha.search.training import Learning
from dasha.search.trials import TrialRecord
from dasha.search.tune import TrialWork, tune
from dasha.search.units import Normalize, TargetScale

from .tiny import TASK, TRAIN, VALIDATION, Tiny, run_of

ROOT = Path(__file__).parents[2]
pytest.importorskip("ray", reason="ray is not installed; pip install 'dasha-plugins[ray]'")


def make_network(hyperparameters):
    return Tiny(in_channels=1, num_outputs=2, dropout=hyperparameters.get("dropout", 0.0))


def work_in(path, *, train=TRAIN, make=make_network, **settings):
    learning = Learning(TASK, 8, torch.device("cpu"))
    splits = as_split(train, "train"), as_split(VALIDATION, "validation")
    return TrialWork(make, *splits, TRAIN[0].shape[1:], TuneSettings(**settings), learning, 5, RunFolder(path))


def test_what_is_shipped_holds_nothing_on_a_device(tmp_path):
    from dasha.search.ray_trial import _on, shipped

    # Nobody has a device called meta, but tensors can be there.
    here = Learning(
        TaskSpec("regression", 1, 1),
        8,
        torch.device("cpu"),
        normalize=Normalize([0.0], [1.0], ndim=1),
        target_scale=TargetScale([3.0], [2.0], ndim=0),
    )
    there = _on(torch.device("meta"), here)
    for learning, device in ((there, "meta"), (here, "cpu")):
        assert {learning.normalize.mean.device.type, learning.target_scale.std.device.type} == {device}
    work = work_in(tmp_path)
    sent = shipped(dataclasses.replace(work, learning=here), {}, is_on_gpu=True).work.learning
    assert sent.device == torch.device("cpu")
    assert sent.target_scale is not here.target_scale
    assert sent.target_scale.mean.tolist() == [3.0]


class Deadly:
    """Training data that kills the process once, when it is gone through for the third time there."""

    is_partial = False

    def __init__(self, marker):
        self._marker, self._whole, self._passes = Path(marker), as_split(TRAIN, "train"), 0

    @property
    def size(self):
        return self._whole.size

    def batches(self, size, *, shuffle):
        self._passes += 1
        if self._passes == 3 and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from self._whole.batches(size, shuffle=shuffle)

    def joined(self, other):
        raise NotImplementedError


class Shown:
    def __init__(self):
        self.told = []

    def advance(self, done, note=""):
        self.told.append((done, note))


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DashaWarning)
        yield


@pytest.mark.slow
def test_without_halving_the_record_is_that_of_one_process(ray, tmp_path, capfd):
    # Momentum of 1 and large rates: some settings diverge.
    settings = {"trials": 6, "min_resource": 3, "max_resource": 3, "lr": (1e-2, 1e7)}
    local = tune(work_in(tmp_path / "local", **settings), stage=Silent())
    handler, shown = signal.getsignal(signal.SIGINT), Shown()
    capfd.readouterr()
    work = work_in(tmp_path / "ray", **settings)
    found = tune(work, stage=shown, engine="ray")
    assert capfd.readouterr() == ("", "")
    assert found.trials == local.trials
    assert (found.number, found.score, found.hyperparameters) == (local.number, local.score, local.hyperparameters)
    states = {record.state for record in found.trials}
    assert states == {"complete", "diverged"}
    assert all(record.reason for record in found.trials if record.state == "diverged")
    assert sorted({done for done, _ in shown.told}) == list(range(7))
    assert shown.told[-1][1] == f"best {found.score:.4f}"
    assert signal.getsignal(signal.SIGINT) is handler
    assert ray.is_initialized()
    assert not list((tmp_path / "ray" / "tune").glob("trial*-*.pt"))
    # Nothing is left to do for either engine.
    assert tune(work, stage=Silent()).trials == tune(work, stage=Silent(), engine="ray").trials == found.trials


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_halving_cuts_the_same_courses_short(tmp_path):
    # Errors of a regression are all different; by accuracies of ten samples nobody might be stopped.
    settings = {"trials": 8, "min_resource": 1, "max_resource": 4, "lr": (1e-4, 0.1)}
    scale = TargetScale([0.5, 0.5], [0.5, 0.5], ndim=0)
    learning = Learning(TaskSpec("regression", 1, 2), 8, torch.device("cpu"), target_scale=scale)
    train, validation = (
        as_split((inputs, np.eye(2, dtype="float32")[labels]), "train") for inputs, labels in (TRAIN, VALIDATION)
    )

    def work(name, **changes):
        plain = work_in(tmp_path / name, **{**settings, **changes})
        return dataclasses.replace(plain, learning=learning, train=train, validation=validation)

    whole = tune(work("whole", min_resource=4), stage=Silent()).trials
    found = tune(work("ray"), stage=Silent(), engine="ray")
    for record, course in zip(found.trials, whole, strict=True):
        assert record.hyperparameters == course.hyperparameters
        # Workers have other numbers of threads, and with them another order of sums.
        assert record.scores == pytest.approx(course.scores[: len(record.scores)], rel=1e-4)
        assert record.state == ("complete" if len(record.scores) == 4 else "pruned")
        assert len(record.scores) in (1, 2, 4)
    assert {record.state for record in found.trials} == {"complete", "pruned"}
    best = max(max(record.scores) for record in found.trials)
    assert found.score == best
    assert found.number == next(record.number for record in found.trials if max(record.scores) == best)


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_trial_whose_worker_dies_is_run_on_to_the_same_scores(tmp_path):
    settings = {"trials": 2, "min_resource": 4, "max_resource": 4}
    local = tune(work_in(tmp_path / "local", **settings), stage=Silent())
    marker = tmp_path / "marker"
    found = tune(work_in(tmp_path / "ray", train=Deadly(marker), **settings), stage=Silent(), engine="ray")
    assert marker.exists()
    assert found.trials == local.trials
    log = [json.loads(line) for line in (tmp_path / "ray" / "log.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in log].count("retry") == 1


def refuse(hyperparameters):
    raise TypeError("no network of such a kind")


class Flawed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        raise InvalidArgumentError("channels=1 must be 3")


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_errors_of_trials_end_the_run_and_say_why(tmp_path):
    with pytest.raises(DashaError, match="no network of such a kind"):
        tune(work_in(tmp_path / "a", make=refuse, trials=2, max_resource=1), stage=Silent(), engine="ray")
    work = work_in(tmp_path / "b", make=lambda hyperparameters: Flawed(), trials=2, max_resource=1)
    with pytest.raises(InvalidArgumentError, match="channels=1 must be 3"):
        tune(work, stage=Silent(), engine="ray")
    with pytest.raises(DashaError, match=r"all 2 trials diverged, the first because .* in batch"):
        tune(work_in(tmp_path / "c", trials=2, max_resource=2, lr=(1e30, 1e30)), stage=Silent(), engine="ray")


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_trials_that_no_machine_can_hold_are_warned_of():
    from dasha.search.ray_tuning import _warn_of_missing

    with pytest.warns(DashaWarning, match=r"no machine of the Ray cluster has 999 CPUs and 0 GPUs .*cpus_per_trial"):
        _warn_of_missing({"cpu": 999, "gpu": 0})
    _warn_of_missing({"cpu": 1, "gpu": 0})


def test_data_that_cannot_be_pickled_is_refused_before_anything_is_searched(tmp_path):
    pairs = [*zip(*TRAIN, strict=True)]

    class Locked(list):
        def __init__(self):
            super().__init__(pairs)
            self.lock = threading.Lock()

    with pytest.raises(InvalidArgumentError, match=r"train cannot be sent to .* Ray \(TypeError: .*lock"):
        run_of(tmp_path, engine="ray").fit(Locked(), VALIDATION)
    assert not (tmp_path / "search.json").exists()
    lock = threading.Lock()
    with pytest.raises(InvalidArgumentError, match=r"augment cannot be sent"):
        run_of(tmp_path / "other", engine="ray", augment=lambda x, y: (x, y) if lock else None).fit(TRAIN, VALIDATION)


def test_the_scheduler_knows_the_trials_that_ended_before():
    from dasha.search.ray_tuning import EPOCHS, SCORE, _scheduler

    settings = TuneSettings(min_resource=1, max_resource=8, reduction_factor=2)
    before = [
        TrialRecord(0, {}, [0.9, 0.9], "pruned"),
        TrialRecord(1, {}, [0.5, 0.8, -math.inf], "diverged"),
        TrialRecord(2, {}, [], "diverged"),
    ]
    new = type("New", (), {"trial_id": "new"})()

    def decision(records, score):
        scheduler = _scheduler(settings, records)
        scheduler.on_trial_add(None, new)
        return scheduler.on_trial_result(None, new, {EPOCHS: 1, SCORE: score})

    assert decision([], 0.1) == decision(before, 0.75) == "CONTINUE"  # the median of 0.9 and 0.5 is 0.7
    assert decision(before, 0.65) == "STOP"


SETTINGS = {"tune.trials": 6, "tune.min_resource": 5, "tune.max_resource": 5}
PROGRAM = """
import sys
from tests.search.test_ray_tuning import SETTINGS
from tests.search.tiny import TRAIN, VALIDATION, run_of
run_of(sys.argv[1], engine="ray", overrides=SETTINGS, seed=3).fit(TRAIN, VALIDATION)
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_to_the_same_record(ray, tmp_path):
    path = tmp_path / "run"
    search = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}

    def begun():
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], env=environment, cwd=ROOT)

    def ended():
        log = path / "log.jsonl"
        return log.read_text().count('"event": "trial"') if log.exists() else 0

    driver, limit = begun(), time.monotonic() + 300
    while not ended() and time.monotonic() < limit:
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert 0 < ended() < 6
    known = (path / "log.jsonl").read_text()
    resumed = begun()
    assert resumed.wait(timeout=300) == 0
    assert (path / "log.jsonl").read_text().startswith(known)
    expected = run_of(tmp_path / "local", overrides=SETTINGS, seed=3).fit(TRAIN, VALIDATION)
    records = [json.loads((folder / "tune.json").read_text()) for folder in (path, tmp_path / "local")]
    assert records[0] | {"seconds": 0} == records[1] | {"seconds": 0}
    assert (path / "model.safetensors").read_bytes() == (expected.run_dir / "model.safetensors").read_bytes()
    page = write_report(path).read_text()
    assert "engine ray" in page


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_either_engine_goes_on_where_the_other_stopped(tmp_path):
    settings = {"trials": 4, "min_resource": 2, "max_resource": 2}
    expected = tune(work_in(tmp_path / "whole", **settings), stage=Silent()).trials

    class Interrupting(Shown):
        def advance(self, done, note=""):
            if done == 2:
                raise KeyboardInterrupt

    work = work_in(tmp_path / "first local", **settings)
    with pytest.raises(KeyboardInterrupt):
        tune(work, stage=Interrupting())
    assert tune(work, stage=Silent(), engine="ray").trials == expected

    class Failing(Shown):
        def advance(self, done, note=""):
            if done == 2:
                raise DashaError("the disk is full")

    work = work_in(tmp_path / "first ray", **settings)
    with pytest.raises(DashaError, match="the disk is full"):
        tune(work, stage=Failing(), engine="ray")
    assert tune(dataclasses.replace(work), stage=Silent()).trials == expected
