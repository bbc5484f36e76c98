import json

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from dasha import TaskSpec
from dasha.errors import InvalidArgumentError, StateFileError
from dasha.metrics import Metrics
from genomics_adapter._intervals import with_intervals
from genomics_adapter.card import model_card
from genomics_adapter.estimator import DashaSequenceClassifier, DashaSequenceRegressor
from genomics_adapter.leaks import leak_report
from genomics_adapter.sequences import SequenceData, SequenceSplits
from genomics_adapter.sequences.data import Source

TINY = {"search.epochs": 1, "search.width": 1, "search.kernel_sizes": (3, 5), "search.dilations": (1, 3)}
TINY |= {"tune.trials": 1, "tune.max_resource": 1, "tune.lr": (0.05, 0.05), "retrain.epochs": 1, "width": 1}
QUICK = {"budget": "smoke", "backbone": "wide_resnet_1d", "overrides": TINY}


def part(count, seed, name):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, 20), dtype=np.uint8)
    labels = np.arange(count) % 2
    codes[labels == 1, 5:9] = [0, 1, 2, 3]
    return SequenceData(codes, labels, class_names=("<b>free</b>", "bound|x"), source=Source(name))


SPLITS = SequenceSplits(part(80, 0, "train.csv"), part(40, 1, "dev.csv"), part(60, 2, "test.csv"))


@pytest.fixture(scope="module")
def fitted():
    names = np.array(SPLITS.train.class_names)
    train, validation, _ = SPLITS
    own = DashaSequenceClassifier(**QUICK)
    return own.fit(train, names[train.labels], validation, names[validation.labels])


def test_a_card_says_everything(fitted, tmp_path):
    names = np.array(SPLITS.test.class_names)
    leaks = leak_report(train=SPLITS.train, validation=SPLITS.validation, test=SPLITS.test)
    card = model_card(
        fitted,
        test=(SPLITS.test, names[SPLITS.test.labels]),
        splits=SPLITS,
        leaks=leaks,
        resamples=30,
        notes="Made up.",
    )
    path = card.write(tmp_path / "card")
    text, content = path.read_text(), json.loads((tmp_path / "card" / "model_card.json").read_text())
    for heading in ("## Data", "## Leaks", "## Test data", "## Network", "## Training", "## Versions"):
        assert heading in text
    assert "train.csv" in text
    assert "share no sequence" in text
    assert "<b>" not in text
    assert "&lt;b&gt;free" in text
    assert "bound\\|x" in text
    layers = {layer["name"]: layer for layer in content["architecture"]["layers"]}
    for name, (size, dilation) in fitted.architecture_.items():
        assert (layers[name]["kernel_size"], layers[name]["dilation"]) == (size, dilation)
        assert f"| `{name}` |" in text
    measured = content["test"]["metrics"]
    assert {"mcc", "f1", "auroc", "average_precision", "accuracy"} <= set(measured)
    assert measured["accuracy"]["value"] == pytest.approx(fitted.score(SPLITS.test, names[SPLITS.test.labels]))
    assert measured["accuracy"]["low"] <= measured["accuracy"]["value"] <= measured["accuracy"]["high"]
    assert content["versions"]["torch"]
    assert content["data"]["train"]["fingerprint"]


def test_a_card_of_a_folder_without_test_data(fitted):
    card = model_card(fitted.run_.run_dir)
    assert "There is none: nothing here says" in card.markdown
    assert "The parts were not compared." in card.markdown
    measured = model_card(fitted.run_, splits=SPLITS, resamples=2).content["test"]
    assert measured["samples"] == 60


def test_a_card_of_numbers():
    train, validation, test = SPLITS
    own = DashaSequenceRegressor(**QUICK).fit(train, train.labels * 5.0, validation, validation.labels * 5.0)
    content = model_card(own, test=(test, test.labels * 5.0), resamples=5).content
    assert set(content["test"]["metrics"]) == {"mse", "rmse", "mae", "r2", "pearson"}


def test_what_has_no_card(fitted, tmp_path):
    with pytest.raises(StateFileError, match="holds no run"):
        model_card(tmp_path)
    loaded = DashaSequenceClassifier.load(fitted.save(tmp_path / "saved"))
    with pytest.raises(InvalidArgumentError, match="an estimator that was loaded has no run"):
        model_card(loaded)
    with pytest.raises(InvalidArgumentError, match="has no labels"):
        model_card(fitted, test=SequenceData(SPLITS.test.codes))
    with pytest.raises(InvalidArgumentError, match=r"or a pair \(X, y\)"):
        model_card(fitted, test=SPLITS.test.codes)


def test_intervals_hold_the_truth_as_often_as_they_say():
    task = TaskSpec("binary", 4, 1)
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for draw in range(25):
        targets = torch.randint(2, (100,), generator=generator)
        is_right = torch.rand(100, generator=generator) < 0.8
        outputs = torch.where(is_right, targets, 1 - targets)[:, None] * 2.0 - 1
        row = with_intervals(task, outputs, targets, names=["accuracy"], resamples=30, seed=draw)["accuracy"]
        hits += row["low"] <= 0.8 <= row["high"]
    assert 18 <= hits <= 25


def test_values_are_those_over_all_predictions():
    task = TaskSpec("multiclass", 4, 3)
    outputs, targets = torch.randn(50, 3), torch.arange(50) % 3
    metrics = Metrics(task)
    metrics.update(outputs, targets)
    rows = with_intervals(task, outputs, targets, names=[], resamples=0, seed=0)
    assert {name: row["value"] for name, row in rows.items()} == metrics.compute()
    assert rows["mcc"]["low"] is None
    with pytest.raises(InvalidArgumentError, match="there are no predictions"):
        with_intervals(task, outputs[:0], targets[:0], names=[], resamples=0, seed=0)
