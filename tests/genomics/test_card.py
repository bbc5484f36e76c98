import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("sklearn")

from dasha import Dasha, TaskSpec
from dasha.errors import DashaWarning, InvalidArgumentError, StateFileError
from dasha.metrics import Metrics
from dasha.search.model import load_members
from genomics_adapter._fitted import on_device
from genomics_adapter._intervals import over_trainings, with_intervals
from genomics_adapter.card import model_card
from genomics_adapter.dataset import SequenceDataset
from genomics_adapter.encoding import decode, one_hot, reverse_complement
from genomics_adapter.estimator import DashaSequenceClassifier, DashaSequenceRegressor
from genomics_adapter.leaks import leak_report
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences import SequenceData, SequenceSplits, read_arrays
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


def three_classes(kept, seed):
    """Sequences of some of three classes, which runs of A and of C tell apart; their own numbers begin at 0."""
    words = np.array(["enhancer", "intron", "promoter"])[np.arange(60) % 3]
    words = words[np.isin(words, kept)]
    codes = np.random.default_rng(seed).integers(0, 4, (len(words), 20), dtype=np.uint8)
    codes[words == "intron", 4:16], codes[words == "promoter", 4:16] = 0, 1
    return read_arrays(codes, words)


def accuracy(run, test):
    return model_card(run, test=test, resamples=0).content["test"]["metrics"]["accuracy"]["value"]


NUMBERS = {"search": "off", **QUICK, "overrides": {**TINY, "retrain.epochs": 8}}


@pytest.mark.parametrize("are_words", [True, False])
def test_classes_of_test_data_are_those_of_the_model_of_the_same_name(are_words):
    train, test = three_classes(["enhancer", "intron", "promoter"], 0), three_classes(["promoter", "intron"], 1)
    words = np.array(train.class_names)
    own = DashaSequenceClassifier(**NUMBERS).fit(train, words[train.labels] if are_words else train.labels)
    assert own.task_.class_names == train.class_names
    true = test.with_class_names(train.class_names).labels
    expected = own.score(test, words[true] if are_words else true)
    assert accuracy(own, test) == pytest.approx(expected) == pytest.approx(1, abs=0.1)
    assert accuracy(own.run_.run_dir, test) > 0.8
    with pytest.raises(
        InvalidArgumentError, match="is of class 'exon', but the classes are enhancer, intron, promoter"
    ):
        model_card(own, test=replace(test, class_names=("exon", "promoter")))
    if are_words:
        with pytest.raises(InvalidArgumentError, match=r"y has class 0, which .*; it has 'enhancer', 'intron', 'promo"):
            model_card(own, test=replace(test, class_names=()))


@pytest.mark.parametrize(("kind", "what"), [(DashaSequenceClassifier, "Labels"), (DashaSequenceRegressor, "Targets")])
def test_columns_of_labels_have_their_names(kind, what):
    data = part(80, 0, "a.csv")
    data = replace(data, labels=np.stack([data.labels, 1 - data.labels], 1), class_names=(), label_names=("a", "b"))
    own = kind(**QUICK).fit(data, data.labels)
    assert own.task_.class_names == ("a", "b")
    assert f"{what}: a, b." in model_card(own).markdown
    assert kind(**QUICK).fit(data, data.labels[:, ::-1]).task_.class_names == ()


def test_classes_without_names_are_numbers():
    train, test = three_classes(["enhancer", "intron", "promoter"], 0), three_classes(["promoter", "intron"], 1)
    own = DashaSequenceClassifier(**NUMBERS).fit(train.codes, train.labels)
    whole = three_classes(train.class_names, 2)
    assert accuracy(own, whole) == pytest.approx(own.score(whole, whole.labels)) == pytest.approx(1, abs=0.1)
    with pytest.raises(InvalidArgumentError, match="has classes intron, promoter, but the model has 3 without names"):
        model_card(own, test=test)


def test_a_card_of_a_folder_without_test_data(fitted):
    card = model_card(fitted.run_.run_dir)
    assert "final trainings" not in card.markdown
    assert "on validation data, where all choices were made: " in card.markdown
    assert "There is none: nothing here says" in card.markdown
    assert "train and validation share no sequence" in card.markdown
    measured = model_card(fitted.run_, splits=SPLITS, resamples=2).content["test"]
    assert measured["samples"] == 60


def test_a_card_of_numbers():
    train, validation, test = SPLITS
    own = DashaSequenceRegressor(**QUICK).fit(train, train.labels * 5.0, validation, validation.labels * 5.0)
    content = model_card(own, test=(test, test.labels * 5.0), resamples=5).content
    assert content["test"]["is_strand_average"]
    assert set(content["test"]["metrics"]) == {"mse", "rmse", "mae", "r2", "pearson"}


@pytest.mark.parametrize("is_ensemble", [True, False])
def test_a_card_of_several_trainings_has_their_spread(is_ensemble):
    train, validation, test = SPLITS
    own = DashaSequenceClassifier(**QUICK, n_seeds=3, is_ensemble=is_ensemble)
    own.fit(train, train.labels, validation, validation.labels)
    card = model_card(own, test=test, resamples=5)
    content, text = card.content, card.markdown
    assert content["trainings"] == {"count": 3, "is_ensemble": is_ensemble}
    curves = [curve["validation"][-1]["mcc"] for curve in own.run_.result.curves]
    assert content["validation"]["mcc"]["mean"] == pytest.approx(np.mean(curves))
    expected = []
    for member in load_members(own.run_.run_dir):
        with torch.no_grad():
            outputs = StrandAverage(member)(one_hot(test.codes))
        expected.append(float(((outputs[:, 0] > 0).numpy() == test.labels).mean()))
    row = content["test"]["trainings"]["accuracy"]
    assert row["mean"] == pytest.approx(np.mean(expected))
    assert row["interval"] == pytest.approx(4.302653 * np.std(expected, ddof=1) / 3**0.5)
    assert content["test"]["metrics"]["accuracy"]["value"] == pytest.approx(own.score(test, test.labels))
    assert "| mean of 3 trainings |" in text
    assert f"| {row['mean']:.4g} ± {row['interval']:.4g} |" in text
    assert f"the model is {'the mean of their networks' if is_ensemble else 'the network of the first'}." in text
    names = [layer["name"] for layer in content["architecture"]["layers"]]
    assert len(names) == len(set(names))
    assert set(own.architecture_) <= set(names)


def test_a_card_of_a_run_of_the_core(tmp_path):
    run = Dasha(TaskSpec("binary", 4, 1), tmp_path / "run", n_seeds=2, is_shown=False, **QUICK)
    train, validation, test = (SequenceDataset(one, run.task) for one in SPLITS)
    run.fit(train, validation)
    card = model_card(run, splits=SPLITS, resamples=0)
    assert "strands" not in card.markdown
    content = card.content
    assert content == model_card(tmp_path / "run", splits=SPLITS, resamples=0).content
    found = run.evaluate(test)
    trainings = content["test"]["trainings"]
    for name in set(trainings) & set(found.metrics):
        assert trainings[name]["mean"] == pytest.approx(found.metrics[name], abs=1e-6)
        assert trainings[name]["interval"] == pytest.approx(found.interval[name], abs=1e-6)
    assert {"mcc", "accuracy", "auroc"} <= set(trainings) & set(found.metrics)
    searched = {layer["name"] for layer in content["architecture"]["layers"] if layer["is_searched"]}
    assert searched == set(run.architecture)  # also behind the normalisation of inputs


def test_test_data_is_compared_with_what_a_run_learnt_from(tmp_path):
    train, validation, test = SPLITS
    own = DashaSequenceClassifier(**QUICK, run_dir=tmp_path / "run")
    own.fit(train, train.labels, validation, validation.labels)
    codes = np.concatenate([train.codes[:4], reverse_complement(validation.codes[:2]), test.codes[:14]])
    labels = np.concatenate([train.labels[:4], validation.labels[:2], test.labels[:14]])
    warned = r"test data is not apart.*\n20 % of test is in train: 4 sequences, and 0 more as reverse complements"
    with pytest.warns(DashaWarning, match=warned):
        model_card(own, test=(codes, labels), resamples=2).write(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "model_card.json").read_text())
    pairs = {(pair["first"], pair["second"]): (pair["exact"], pair["reverse_complement"]) for pair in leaks_of(content)}
    assert pairs == {("train", "validation"): (0, 0), ("train", "test"): (4, 0), ("validation", "test"): (0, 2)}
    assert content["data"]["train"]["source"] == "train.csv"
    assert content["data"]["train"]["fingerprint"]
    with pytest.warns(DashaWarning, match="test data is not apart"):
        assert leaks_of(model_card(tmp_path / "run", test=(codes, labels), resamples=0).content) == leaks_of(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DashaWarning)
        assert "train and test share no sequence" in model_card(own, test=test, resamples=0).markdown


def test_the_parts_are_compared_by_sequences_where_they_are_there(fitted):
    splits = SPLITS._replace(test=SPLITS.train.subset(range(10)))
    with pytest.warns(DashaWarning, match=r"exact: train\.csv, sequence 0 and train\.csv, sequence 0"):
        card = model_card(fitted.run_, splits=splits, resamples=0)
    assert {pair["second"] for pair in leaks_of(card.content)} == {"validation", "test"}


def test_a_run_that_kept_no_parts_says_so(tmp_path):
    train, validation, test = SPLITS
    own = DashaSequenceClassifier(**QUICK, run_dir=tmp_path).fit(train, train.labels, validation, validation.labels)
    (tmp_path / "sequences.safetensors").write_bytes(b"cut off")
    with pytest.raises(StateFileError, match=r"sequences\.safetensors"):
        model_card(own, test=test, resamples=0)
    (tmp_path / "sequences.safetensors").unlink()
    assert "The parts were not compared." in model_card(own, test=test, resamples=0).markdown


def leaks_of(content):
    return content["leaks"]["pairs"]


def texts(data):
    return decode(data.codes), np.array(["free", "bound"])[data.labels]


def test_a_fit_into_a_folder_leaves_a_card_there(tmp_path):
    train, validation, test = SPLITS
    twice = np.concatenate([validation.codes, train.codes[:3], reverse_complement(train.codes[3:5])])
    labels = np.concatenate([validation.labels, train.labels[:5]])
    own = DashaSequenceClassifier(**QUICK, run_dir=tmp_path / "run")
    own.fit(train, train.labels, twice, labels)
    text = (tmp_path / "run" / "model_card.md").read_text()
    content = json.loads((tmp_path / "run" / "model_card.json").read_text())
    assert content["test"] is None
    assert content["data"]["train"]["source"] == "train.csv"
    assert content["data"]["validation"] | {"description": ""} == content["data"]["validation"] | {
        "source": "X_val",
        "count": 45,
        "description": "",
    }
    assert content["data"]["train"]["fingerprint"]
    (pair,) = content["leaks"]["pairs"]
    assert (pair["exact"], pair["reverse_complement"]) == (3, 2)
    assert "train.csv, sequence 0 and X\\_val, sequence 40" in text
    expected = own.run_.result.curves[0]["validation"][-1]["mcc"]
    assert content["validation"]["mcc"]["mean"] == pytest.approx(expected)
    assert "There is none: nothing here says" in text
    assert not list((tmp_path / "run").glob(".*card*"))
    kept = own.run_.run_dir / "model_card.md"
    model_card(own, test=test, resamples=2).write(tmp_path / "run")
    measured = kept.read_text()
    again = DashaSequenceClassifier(**QUICK, run_dir=tmp_path / "run").fit(train, train.labels, twice, labels)
    assert kept.read_text() == measured  # trained nothing, and leaves what is known of test data
    np.testing.assert_array_equal(again.predict_proba(test), own.predict_proba(test))
    kept.with_suffix(".json").unlink()
    DashaSequenceClassifier(**QUICK, run_dir=tmp_path / "run").fit(train, train.labels, twice, labels)
    assert kept.read_text() == text


def test_the_card_of_a_fit_says_that_the_parts_were_drawn(tmp_path):
    sequences, labels = texts(SPLITS.train)
    DashaSequenceClassifier(**QUICK, run_dir=tmp_path).fit(sequences, labels)
    content = json.loads((tmp_path / "model_card.json").read_text())
    assert content["leaks"]["count"] == 0
    train, validation = (content["data"][name] for name in ("train", "validation"))
    assert train["count"] + validation["count"] == len(sequences)
    assert train["source"] == validation["source"] == "X"
    assert train["notes"] == validation["notes"]
    assert train["notes"][0].startswith("a share of X, drawn at random")
    assert "bound" in validation["description"]


@pytest.mark.parametrize("form", ["shares", "labels", "numbers"])
def test_a_fit_of_any_form_leaves_a_card(tmp_path, form):
    train, validation, _ = SPLITS
    parts = [(one.codes, one.labels) for one in (train, validation)]
    if form == "shares":
        parts = [(0.5 * one_hot(codes), labels) for codes, labels in parts]
    if form == "labels":
        parts = [(codes, np.stack([labels, 1 - labels], 1)) for codes, labels in parts]
    kind = DashaSequenceRegressor if form == "numbers" else DashaSequenceClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("error", DashaWarning)
        kind(**QUICK, run_dir=tmp_path).fit(*parts[0], *parts[1])
    content = json.loads((tmp_path / "model_card.json").read_text())
    assert (content["leaks"] is None) == (form == "shares")
    assert content["validation"]


def test_without_a_folder_there_is_no_card(fitted):
    assert not list(fitted.run_.run_dir.glob("model_card*"))


def test_a_card_that_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr("genomics_adapter.card.write_whole", full)
    train, validation, test = SPLITS
    own = DashaSequenceClassifier(**QUICK, run_dir=tmp_path)
    with pytest.warns(DashaWarning, match=r"no model card is written into .* \(OSError: no space left\)"):
        own.fit(train, train.labels, validation, validation.labels)
    assert own.predict(test).shape == (60,)
    assert (tmp_path / "result.json").is_file()


def test_a_card_that_is_cut_off_leaves_the_one_before(tmp_path, fitted, monkeypatch):
    card = model_card(fitted)
    card.write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        model_card(fitted, notes="More.").write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_metrics_without_a_value_have_no_interval():
    rows = over_trainings([{"auroc": None, "mcc": 0.5}, {"auroc": 0.7, "mcc": 0.5}])
    assert rows == {"auroc": {"mean": None, "interval": None}, "mcc": {"mean": 0.5, "interval": 0.0}}
    assert over_trainings([]) == {}


def test_a_network_is_put_back_where_it_was():
    network = nn.Linear(2, 2, device="meta")
    with on_device(network, "meta") as (there, _):
        assert not there.training
    assert network.training
    assert network.weight.is_meta
    with pytest.raises(InvalidArgumentError, match="device='cpu' cannot be used"), on_device(network, "cpu"):
        pass
    assert network.weight.is_meta


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
    few = np.array(SPLITS.test.class_names)[SPLITS.test.labels[:3]]
    with pytest.raises(InvalidArgumentError, match="X of test has 60 sequences, but y of test has 3 rows"):
        model_card(fitted, test=(SPLITS.test, few))


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
