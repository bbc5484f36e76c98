import math
from dataclasses import replace

import pytest
import torch

from dasha import TaskSpec
from dasha.data.split import as_split
from dasha.errors import StateFileError
from dasha.randomness import seeded
from dasha.search import retrain as retraining
from dasha.search.progress import Silent
from dasha.search.retrain import retrain
from dasha.search.run_folder import RunFolder
from dasha.search.settings import RetrainSettings
from dasha.search.training import Diverged, Learning

from .tiny import TASK, TRAIN, VALIDATION, Tiny

HYPERPARAMETERS = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def train(folder, *, epochs=2, validation=True, task=TASK, stage=None, **settings):
    with seeded(0):
        network = Tiny(in_channels=1, num_outputs=2)
    return retrain(
        network,
        as_split(TRAIN, "train"),
        as_split(VALIDATION, "validation") if validation else None,
        RetrainSettings(epochs=epochs, **settings),
        Learning(task, 8, torch.device("cpu")),
        HYPERPARAMETERS,
        seed=1,
        number=0,
        folder=folder,
        stage=stage or Silent(),
    )


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_json("config.json", {})
    return folder


def test_all_epochs_are_trained_and_the_last_weights_are_the_result(folder):
    state, curves = train(folder, epochs=3)
    assert len(curves.losses) == len(curves.validation) == 3
    stored = folder.load_state("retrain/seed-0.pt")
    assert all(torch.equal(value, stored["network"][name]) for name, value in state.items())
    again, _ = train(folder, epochs=3)
    assert all(torch.equal(value, again[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("mcc", [-0.2, 0.5, 0.4, math.nan], [(-0.2, -0.2), (0.5, 0.5), (0.4, 0.5), (math.nan, 0.5)]),
        ("mse", [0.9, 0.3, 0.4, 0.2], [(0.9, 0.9), (0.3, 0.3), (0.4, 0.3), (0.2, 0.2)]),
    ],
)
def test_progress_says_how_good_it_is_and_was(folder, monkeypatch, metric, values, expected):
    notes, coming = [], iter(values)

    class Shown:
        def advance(self, done, note=""):
            notes.append(note)

    monkeypatch.setattr(retraining, "train_epoch", lambda *arguments, **options: 1.0)
    monkeypatch.setattr(retraining, "evaluate", lambda *arguments, **options: {metric: next(coming)})
    task = replace(TASK, metric="mcc") if metric == "mcc" else TaskSpec("regression", 1, 2)
    train(folder, epochs=4, task=task, stage=Shown())
    assert notes == [f"{metric} {now:.4f}, best {best:.4f}" for now, best in expected]


def test_a_metric_without_a_value_has_no_best_one(folder, monkeypatch):
    told = []
    monkeypatch.setattr(Silent, "advance", lambda self, done, note="": told.append(note))
    monkeypatch.setattr(retraining, "evaluate", lambda *arguments, **options: {"accuracy": math.nan})
    train(folder, epochs=1)
    assert told == ["accuracy nan"]


def test_without_validation_data_there_are_no_curves_of_it(folder):
    assert train(folder, validation=False)[1].validation == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"milestones": (0.5,), "gamma": 0.2}, [0.1, 0.1, 0.02, 0.02]),
        ({"schedule": "cosine", "warmup": 0.0}, [0.05 * (1 + math.cos(math.pi * (e + 0.5) / 4)) for e in range(4)]),
    ],
)
def test_the_learning_rate_follows_the_schedule(folder, monkeypatch, settings, expected):
    rates = []

    def record(network, optimizer, *arguments, **options):
        rates.append(optimizer.param_groups[0]["lr"])
        return 1.0

    monkeypatch.setattr(retraining, "train_epoch", record)
    train(folder, epochs=4, **settings)
    assert rates == pytest.approx(expected)


def test_divergence_goes_back_and_on_more_slowly(folder, monkeypatch):
    original, rates = retraining.train_epoch, []

    def fragile(network, optimizer, *arguments, **options):
        rates.append(optimizer.param_groups[0]["lr"])
        if len(rates) == 2:
            network.first.weight.data.fill_(math.nan)
            raise Diverged("loss is nan in batch 1")
        return original(network, optimizer, *arguments, **options)

    monkeypatch.setattr(retraining, "train_epoch", fragile)
    state, curves = train(folder, epochs=2, milestones=())
    assert rates == pytest.approx([0.1, 0.1, 0.03])
    assert (curves.slowdowns, len(curves.losses)) == (1, 2)
    assert all(torch.isfinite(value).all() for value in state.values())


def test_a_training_that_always_diverges_says_so(folder, monkeypatch):
    def diverge(*arguments, **options):
        raise Diverged("loss is nan in batch 1")

    monkeypatch.setattr(retraining, "train_epoch", diverge)
    with pytest.raises(Diverged, match=r"diverges at every learning rate .*retrain\.max_norm"):
        train(folder)


def test_a_checkpoint_of_something_else_is_named(folder):
    folder.save_state("retrain/seed-0.pt", {"network": {}})
    with pytest.raises(StateFileError, match=r"seed-0\.pt"):
        train(folder)
