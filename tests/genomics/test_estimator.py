import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from dasha.errors import InvalidArgumentError, StateFileError
from dasha.search import load_model
from genomics_adapter._split import split_off
from genomics_adapter.card import model_card
from genomics_adapter.encoding import encode, one_hot, reverse_complement
from genomics_adapter.estimator import DashaSequenceClassifier, DashaSequenceRegressor
from genomics_adapter.sequences import SequenceData

MOTIF = "GACTC"
TINY = {
    "search.epochs": 1,
    "search.width": 1,
    "search.kernel_sizes": (3, 5),
    "search.dilations": (1,),
    "tune.trials": 1,
    "tune.max_resource": 1,
    "tune.lr": (0.05, 0.05),
    "retrain.epochs": 1,
    "width": 1,
}
QUICK = {"budget": "smoke", "search": "off", "backbone": "wide_resnet_1d", "overrides": TINY}
LEARNING = {**QUICK, "search": "on", "overrides": {**TINY, "tune.dropout": (0.0,), "retrain.epochs": 24}}


def sequences(count, *, seed=0, length=20):
    """Random bases; label 1 where the motif lies at base 8."""
    rng = np.random.default_rng(seed)
    bases = rng.choice(list("ACGT"), (count, length))
    labels = np.arange(count) % 2
    bases[labels == 1, 8 : 8 + len(MOTIF)] = list(MOTIF)
    return ["".join(row) for row in bases], labels


X, Y = sequences(160)
X_TEST, Y_TEST = sequences(100, seed=1)


@pytest.fixture(scope="module")
def fitted():
    return DashaSequenceClassifier(**LEARNING).fit(X, np.where(Y, "bound", "free"))


def test_a_motif_is_learnt(fitted):
    assert fitted.score(X_TEST, np.where(Y_TEST, "bound", "free")) > 0.9
    assert fitted.classes_.tolist() == ["bound", "free"]
    assert set(fitted.architecture_) == set(fitted.run_.architecture)
    assert fitted.length_ == 20
    assert not hasattr(fitted, "n_features_in_")
    assert "lr" in fitted.hyperparameters_


def test_the_model_is_a_plain_module_on_one_hot_input(fitted):
    outputs = fitted.model_(one_hot(encode(X_TEST)))
    assert outputs.shape == (100, 1)
    assert not fitted.model_.training
    expected = fitted.predict_proba(X_TEST)[:, 1]
    np.testing.assert_allclose(outputs.sigmoid().detach().numpy()[:, 0], expected, rtol=1e-5)


def test_every_form_of_sequences_gives_the_same_probabilities(fitted):
    codes = encode(X_TEST)
    expected = fitted.predict_proba(X_TEST)
    forms = {
        "tuple": tuple(X_TEST),
        "array": np.array(X_TEST),
        "varying": np.array(X_TEST, dtype=np.dtypes.StringDType()),
        "one column": np.array(X_TEST, dtype=np.dtypes.StringDType())[:, None],
        "objects": np.array(X_TEST, dtype=object)[:, None],
        "series": pd.Series(X_TEST, index=range(7, 107)),
        "frame": pd.DataFrame({"sequence": X_TEST}),
        "small letters": [text.lower() for text in X_TEST],
        "data": SequenceData(codes),
        "one-hot": one_hot(codes),
        "one-hot array": one_hot(codes).numpy().astype("uint8"),
    }
    for name, form in forms.items():
        np.testing.assert_allclose(fitted.predict_proba(form), expected, rtol=1e-6, err_msg=name)
    fractions = one_hot(codes) * 0.999999  # shares, not codes
    np.testing.assert_allclose(fitted.predict_proba(fractions), expected, atol=1e-3)


def test_codes_are_a_matrix_with_as_many_features_as_bases(fitted):
    own = DashaSequenceClassifier(**QUICK).fit(encode(X), Y)
    assert own.n_features_in_ == 20
    assert own.predict(encode(X_TEST).astype(float)).shape == (100,)
    with pytest.raises(ValueError, match="X has 19 features, but DashaSequenceClassifier is expecting 20"):
        own.predict(encode(X_TEST)[:, :19])


def test_a_second_fit_forgets_the_features_of_the_first(tmp_path):
    own = DashaSequenceClassifier(**QUICK).fit(pd.DataFrame(encode(X), columns=[f"base_{n}" for n in range(20)]), Y)
    assert own.feature_names_in_[0] == "base_0"
    longer = [text + "ACGT" for text in X]
    own.fit(longer, Y)
    assert not hasattr(own, "n_features_in_")
    assert not hasattr(own, "feature_names_in_")
    for model in (own, DashaSequenceClassifier.load(own.save(tmp_path / "saved"))):
        assert model.predict(encode(longer)).tolist() == own.predict(longer).tolist()


def test_shares_that_cannot_be_written_to_are_taken_silently(fitted):
    shares = one_hot(encode(X)).numpy() * np.float32(0.999999)
    shares.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted.predict(shares).shape == (160,)
        assert DashaSequenceClassifier(**QUICK).fit(shares, Y, shares, Y).predict(shares).shape == (160,)


def test_both_strands_are_predicted_alike(fitted):
    codes = encode(X_TEST)
    here, there = (fitted.predict_proba(one_hot(part)) for part in (codes, reverse_complement(codes)))
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-6)
    one_strand = DashaSequenceClassifier(**QUICK, reverse_complement=False).fit(X, Y)
    there = one_strand.predict_proba(one_hot(reverse_complement(codes)))
    assert np.abs(one_strand.predict_proba(X_TEST) - there).max() > 1e-3


def test_other_lengths_are_cropped_and_padded(fitted):
    longer = ["AA" + text + "AA" for text in X_TEST]
    np.testing.assert_allclose(fitted.predict_proba(longer), fitted.predict_proba(X_TEST), rtol=1e-6)
    assert fitted.predict([text[3:-3] for text in X_TEST]).shape == (100,)
    assert DashaSequenceClassifier(**QUICK, length=12).fit(X, Y).length_ == 12


def test_uncertain_bases_are_shown_as_asked(tmp_path):
    texts = [text[:10] + "RNN" + text[13:] for text in X]
    shares = one_hot(encode(texts), ambiguous="fractions")
    model = DashaSequenceClassifier(**QUICK, ambiguous="fractions").fit(texts, Y)
    np.testing.assert_allclose(model.predict_proba(texts), model.predict_proba(shares), rtol=1e-6)
    other = DashaSequenceClassifier(**QUICK).fit(texts, Y)  # learns from other inputs
    assert np.abs(model.predict_proba(shares) - other.predict_proba(shares)).max() > 1e-6
    again = DashaSequenceClassifier.load(model.save(tmp_path))
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert np.abs(model.predict_proba(one_hot(encode(texts))) - model.predict_proba(texts)).max() > 1e-6
    card = model_card(model, test=(texts, Y), resamples=2)
    assert "N has a quarter for every base" in card.markdown


def test_classes_labels_numbers_and_counts():
    three = np.arange(160) % 3
    own = DashaSequenceClassifier(**QUICK).fit(X, three)
    assert own.predict_proba(X_TEST).shape == (100, 3)
    np.testing.assert_allclose(own.predict_proba(X_TEST).sum(1), 1, rtol=1e-6)
    assert own.task_.metric == "mcc"
    labels = np.stack([Y, 1 - Y, three == 0], 1).astype(int)
    own = DashaSequenceClassifier(**QUICK).fit(X, labels)
    assert own.predict(X_TEST).shape == own.predict_proba(X_TEST).shape == (100, 3)
    assert set(own.predict(X_TEST).ravel()) <= {0, 1}
    assert own.task_.metric == "average_precision"
    own = DashaSequenceRegressor(**QUICK).fit(X, np.stack([Y, 3.0 * Y], 1))
    assert own.predict(X_TEST).shape == (100, 2)
    own = DashaSequenceRegressor(**QUICK, loss="poisson").fit(X, 1 + 4 * Y)
    assert (own.predict(X_TEST) > 0).all()
    np.testing.assert_allclose(own.model_(one_hot(encode(X_TEST))).exp().detach()[:, 0], own.predict(X_TEST), rtol=1e-5)


def test_classes_have_the_weights_that_are_wanted(tmp_path):
    rare = np.where(np.arange(len(X)) % 8 == 1, "bound", "free")
    own = DashaSequenceClassifier(**QUICK, class_weight="balanced").fit(X, rare)
    assert own.task_.class_weights == pytest.approx((4, 4 / 7))
    assert own.run_.task.class_weights == own.task_.class_weights
    own = DashaSequenceClassifier(**QUICK, class_weight={"bound": 1000.0}).fit(X, rare)
    assert own.task_.class_weights == (1000, 1)
    assert (own.predict(X_TEST) == "bound").all()
    loaded = DashaSequenceClassifier.load(own.save(tmp_path / "words"))
    assert loaded.class_weight == {"bound": 1000.0}
    own = DashaSequenceClassifier(**QUICK, class_weight={0: 2}).fit(X, np.stack([Y, 1 - Y], 1))
    assert own.task_.class_weights == (2, 1)
    assert DashaSequenceClassifier.load(own.save(tmp_path / "numbers")).class_weight == {0: 2.0}
    labels = np.stack([Y, np.arange(len(X)) % 4 == 0], 1).astype(int)
    own = DashaSequenceClassifier(**QUICK, class_weight="balanced").fit(X, labels)
    assert own.task_.class_weights == pytest.approx((0.75, 1.5))


@pytest.mark.parametrize("weights", ["even", {"other": 2.0}, [1.0, 2.0]])
def test_weights_are_of_classes(weights):
    with pytest.raises(InvalidArgumentError, match=r"class_weight is .* with weights of the classes 0, 1"):
        DashaSequenceClassifier(**QUICK, class_weight=weights).fit(X, Y)
    with pytest.raises(InvalidArgumentError, match=r"class_weight is .* DashaSequenceRegressor learns numbers"):
        DashaSequenceRegressor(**QUICK, class_weight=weights).fit(X, Y)


def test_data_goes_through_cross_validation():
    data = SequenceData(encode(X), Y)
    assert data.shape == (160, 20)
    assert len(data[3]) == 1
    assert len(data[:7]) == 7
    rows = np.array([5, 2])
    assert data[rows, ...].labels.tolist() == data[rows].labels.tolist() == Y[rows].tolist()
    assert data[rows].source.numbers.tolist() == [5, 2]
    own = DashaSequenceClassifier(**QUICK)
    np.testing.assert_array_equal(cross_val_score(own, data, Y, cv=2), cross_val_score(own, np.array(X), Y, cv=2))


def test_categories_are_texts_as_any_others(fitted):
    np.testing.assert_array_equal(fitted.predict(pd.Categorical(X_TEST)), fitted.predict(X_TEST))
    with pytest.raises(InvalidArgumentError, match=r"X is empty, its shape is \(0,\); supply sequences"):
        fitted.predict([])


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("kind", [DashaSequenceClassifier, DashaSequenceRegressor])
def test_a_missing_target_is_named_by_its_row(missing, kind):
    y = [*Y[:5].tolist(), missing, *Y[6:].tolist()]
    with pytest.raises(InvalidArgumentError, match=r"y has nothing in row 5 \(1 rows of 160 have None or NaN\)"):
        kind(**QUICK).fit(X, y)
    with pytest.raises(InvalidArgumentError, match="y_val has nothing in row 5"):
        kind(**QUICK).fit(X, Y, X, np.array(y, dtype=object))


def test_words_are_no_numbers():
    with pytest.raises(InvalidArgumentError, match=r"y has 'a' in row 1 \(159 values are no numbers\).*Classifier"):
        DashaSequenceRegressor(**QUICK).fit(X, ["1.5", *["a"] * 159])
    with pytest.raises(InvalidArgumentError, match=r"y has 'b' in row 0 \(1 values"):
        DashaSequenceRegressor(**QUICK).fit(X, [[1, "b"], *[[0, 1]] * 159])


def test_numbers_come_back_in_their_units():
    own = DashaSequenceRegressor(**LEARNING).fit(X, 1e6 + 1e3 * Y)
    assert own.score(X_TEST, 1e6 + 1e3 * Y_TEST) > 0.5
    np.testing.assert_allclose(own.model_(one_hot(encode(X_TEST))).detach()[:, 0], own.predict(X_TEST), rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(2, 20), (20, 200), (200, 2000)])
def test_counts_may_be_of_any_size(low, high):
    rates = np.where(Y_TEST, high, low)
    counts = np.random.default_rng(0).poisson(np.where(Y, high, low))
    tuned = {"tune.trials": 3, "tune.lr": (0.003, 0.3), "tune.dropout": (0.0,), "retrain.epochs": 24}
    own = DashaSequenceRegressor(**{**QUICK, "overrides": {**TINY, **tuned}}, loss="poisson").fit(X, counts)
    assert own.score(X_TEST, rates) > 0.3
    assert 0.6 < own.predict(X_TEST).mean() / rates.mean() < 1.5


def test_validation_data_may_be_given():
    own = DashaSequenceClassifier(**QUICK).fit(X, Y, X_TEST, Y_TEST)
    assert own.run_.config.normalize is False
    with pytest.raises(InvalidArgumentError, match="X_val and y_val must be given together"):
        own.fit(X, Y, X_TEST)
    with pytest.raises(InvalidArgumentError, match="y has class 6, which the training data does not have"):
        own.fit(X, Y, X_TEST, Y_TEST + 6)


def test_the_same_run_twice_and_the_callers_generators():
    state = torch.get_rng_state()
    first, second = (DashaSequenceClassifier(**QUICK, random_state=3).fit(X, Y).predict_proba(X_TEST) for _ in "ab")
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    other = DashaSequenceClassifier(**QUICK, random_state=np.random.RandomState(1)).fit(X, Y)
    assert np.abs(other.predict_proba(X_TEST) - first).max() > 0


def test_a_run_folder_is_continued_and_belongs_to_its_data(tmp_path):
    own = DashaSequenceClassifier(**QUICK, run_dir=tmp_path / "run").fit(X, Y)
    again = clone(own).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X_TEST), own.predict_proba(X_TEST))
    with pytest.raises(InvalidArgumentError, match="is another one"):
        clone(own).fit(X_TEST, Y_TEST)
    assert load_model(tmp_path / "run")(one_hot(encode(X))).shape == (160, 1)


def test_validation_data_with_other_classes_by_the_same_numbers_are_refused():
    data = SequenceData(encode(X), Y, class_names=("background", "site"))
    other = SequenceData(encode(X_TEST), np.zeros(len(X_TEST), dtype=int), class_names=("site",))
    with pytest.raises(InvalidArgumentError, match="y_val counts site, but y counts background, site"):
        DashaSequenceClassifier(**QUICK).fit(data, data.labels, other, other.labels)


def test_pipelines_cross_validation_and_grid_search():
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), clone_of_quick())
    assert pipeline.fit(X, Y).predict(X_TEST).shape == (100,)
    scores = cross_val_score(clone_of_quick(), np.array(X), Y, cv=2, scoring="matthews_corrcoef")
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
    grid = GridSearchCV(clone_of_quick(), {"reverse_complement": [True, False]}, cv=2).fit(np.array(X), Y)
    assert set(grid.best_params_) == {"reverse_complement"}


def test_fits_in_threads_give_what_they_give_one_after_the_other():
    seeds = (0, 1)

    def probabilities(seed):
        return DashaSequenceClassifier(**QUICK, random_state=seed).fit(X, Y).predict_proba(X_TEST)

    expected = list(map(probabilities, seeds))
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_array_equal(list(pool.map(probabilities, seeds)), expected)


def clone_of_quick():
    return clone(DashaSequenceClassifier(**QUICK))


def test_a_pickle_predicts_the_same(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X_TEST), fitted.predict_proba(X_TEST))


def test_saved_and_loaded(fitted, tmp_path):
    folder = fitted.save(tmp_path / "saved")
    again = DashaSequenceClassifier.load(folder)
    np.testing.assert_array_equal(again.predict_proba(X_TEST), fitted.predict_proba(X_TEST))
    assert again.predict(X_TEST).dtype == fitted.predict(X_TEST).dtype
    assert again.architecture_ == fitted.architecture_
    with pytest.raises(StateFileError, match="is a DashaSequenceClassifier of format 1, but a DashaSequenceRegressor"):
        DashaSequenceRegressor.load(folder)
    other = DashaSequenceClassifier(**QUICK).fit(X, Y)
    again = DashaSequenceClassifier.load(other.save(folder))
    np.testing.assert_array_equal(again.predict_proba(X_TEST), other.predict_proba(X_TEST))
    (folder / "estimator.json").write_text("{")
    with pytest.raises(StateFileError, match="cannot read"):
        DashaSequenceClassifier.load(folder)
    own = DashaSequenceRegressor(**QUICK).fit(X, 5.0 + Y)
    again = DashaSequenceRegressor.load(own.save(tmp_path / "numbers"))
    np.testing.assert_array_equal(again.predict(X_TEST), own.predict(X_TEST))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgumentError, match=r"other holds other files \(notes\.txt\) and is left alone"):
        own.save(tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def ensemble():
    return DashaSequenceClassifier(**QUICK, n_seeds=2, is_ensemble=True).fit(X, Y)


def test_an_ensemble_is_a_plain_module_whose_outputs_are_the_mean_of_its_networks(ensemble):
    columns = one_hot(encode(X_TEST))
    assert isinstance(ensemble.model_, torch.nn.Module)
    with torch.no_grad():
        outputs = ensemble.model_(columns)
        parts = [(own(columns) + own(columns.flip(-2, -1))) / 2 for own in ensemble.network_.members]
    assert outputs.shape == (100, 1)
    assert (parts[0] - parts[1]).abs().max() > 1e-4
    torch.testing.assert_close(outputs, (parts[0] + parts[1]) / 2)
    np.testing.assert_allclose(ensemble.predict_proba(X_TEST)[:, 1], outputs.sigmoid()[:, 0].numpy(), rtol=1e-5)


def test_an_ensemble_is_cloned_pickled_and_saved(ensemble, tmp_path):
    expected = ensemble.predict_proba(X_TEST)
    parameters = clone(ensemble).get_params()
    assert (parameters["n_seeds"], parameters["is_ensemble"]) == (2, True)
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.predict_proba(X_TEST), expected)
    folder = ensemble.save(tmp_path / "saved")
    loaded = DashaSequenceClassifier.load(folder)
    np.testing.assert_array_equal(loaded.predict_proba(X_TEST), expected)
    assert loaded.get_params()["n_seeds"] == 2
    assert load_model(folder)(one_hot(encode(X_TEST))).shape == (100, 1)
    np.testing.assert_array_equal(
        DashaSequenceClassifier.load(loaded.save(tmp_path / "twice")).predict_proba(X_TEST), expected
    )


def test_without_an_ensemble_the_model_is_the_first_of_several_trainings(ensemble):
    one = DashaSequenceClassifier(**QUICK).fit(X, Y)
    own = DashaSequenceClassifier(**QUICK, n_seeds=2).fit(X, Y)
    np.testing.assert_array_equal(own.predict_proba(X_TEST), one.predict_proba(X_TEST))
    assert np.abs(own.predict_proba(X_TEST) - ensemble.predict_proba(X_TEST)).max() > 0
    assert len(own.run_.result.curves) == 2


def test_an_ensemble_of_numbers_is_in_their_units(tmp_path):
    own = DashaSequenceRegressor(**QUICK, n_seeds=2, is_ensemble=True).fit(X, 1e6 + 1e3 * Y)
    assert own.predict(X_TEST) == pytest.approx(1e6, rel=0.1)
    outputs = own.model_(one_hot(encode(X_TEST))).detach()[:, 0]
    np.testing.assert_allclose(outputs, own.predict(X_TEST), rtol=1e-6)
    again = DashaSequenceRegressor.load(own.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.predict(X_TEST), own.predict(X_TEST))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("ACGT", [0], "X is one text, but must be a list of them"),
        ([], [], "X is .*empty|row of float64"),
        (["ACGT", "AC!T"], [0, 1], "has '!' at base 3"),
        (["ACGT", None], [0, 1], "is None, but must be a text"),
        (np.zeros((4, 6)) + 0.5, [0, 1, 0, 1], "two axes mean codes, whole numbers from 0 to 15"),
        (np.zeros((4, 6, 4)), [0, 1, 0, 1], r"must be numbers \(N, 4, L\).*move the channels to axis 1"),
        (np.ones((4, 4, 6)), [0, 1, 0, 1], "no shares of A, C, G, T"),
        (np.array([["A", "C"], ["G", "T"]]), [0, 1], "2 columns of texts"),
        (np.zeros((2, 2, 2, 2)), [0, 1], r"X has shape \(2, 2, 2, 2\)"),
        (X, Y[:-1], "X has 160 sequences, but y has 159 rows"),
        (X, np.zeros(160, int), "1 class only"),
        (X, Y + 0.5, "Unknown label type"),
        (X, np.stack([Y, Y + 1], 1), "fit one estimator for every column"),
        (X, None, "requires y to be passed"),
        (X[:1] * 8, [0, 1] * 4, "1 different sequence"),
        (X[:3], [0, 0, 1], "class number 1 has 1 different sequence"),
    ],
)
def test_what_cannot_be_learnt_from(x, y, message):
    with pytest.raises(ValueError, match=message):
        DashaSequenceClassifier(**QUICK).fit(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 1.5}, "validation_fraction is 1.5, but must be a number between 0 and 1"),
        ({"budget": "huge"}, "budget='huge' must be one of"),
        ({"metric": "mse"}, "metric='mse' must be one of"),
        ({"crop": "left"}, "crop is 'left'"),
        ({"shift": 20}, "shift is 20, but sequences have 20 bases"),
        ({"ambiguous": "half"}, "ambiguous is 'half', but must be 'zeros' or 'fractions'"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
        ({"overrides": {"tune.trails": 3}}, "did you mean 'trials'"),
        ({"n_seeds": 0}, "n_seeds=0 must be a whole number"),
        ({"is_ensemble": True}, "is_ensemble=True needs n_seeds of at least 2"),
    ],
)
def test_parameters_are_checked(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        DashaSequenceClassifier(**{**QUICK, **options}).fit(X, Y)


def test_counts_are_not_negative():
    with pytest.raises(InvalidArgumentError, match="negative values, but loss='poisson'"):
        DashaSequenceRegressor(**QUICK, loss="poisson").fit(X, Y - 1.0)


def test_nothing_is_predicted_before_fit():
    with pytest.raises(NotFittedError):
        DashaSequenceClassifier().predict(X)


def test_the_same_sequence_is_never_in_both_parts():
    codes = encode(X)
    doubled = np.concatenate([codes, reverse_complement(codes), codes])
    own, other = split_off(doubled, np.tile(Y, 3), fraction=0.2, seed=0)
    assert len(own) + len(other) == 480
    assert len(other) == 3 * 32
    assert set(own % 160).isdisjoint(other % 160)
    assert Y[other % 160].mean() == 0.5


def test_tags_say_what_goes_in():
    tags = DashaSequenceClassifier().__sklearn_tags__().input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array, tags.three_d_array) == (True, True, False, True)


class Digits:
    """Turns the real numbers of scikit-learn's checks into sequences, six bases for each, so that the checks apply."""

    def _read(self, X, *, reset=False):
        X = validate_data(self, X, reset=reset)
        steps = np.rint((np.asarray(X, dtype=float) % 16) * (4**6 - 1) / 16).astype(int)
        codes = np.concatenate([(steps // 4**digit) % 4 for digit in range(6)], axis=1).astype(np.uint8)
        if reset:
            self.length_ = codes.shape[1]
        return codes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
        tags.input_tags.string = tags.input_tags.three_d_array = False
        for own in (tags.classifier_tags, tags.regressor_tags):
            if own is not None:
                own.poor_score = True  # one epoch, and bases that mean nothing
        return tags


class DigitClassifier(Digits, DashaSequenceClassifier):
    pass


class DigitRegressor(Digits, DashaSequenceRegressor):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [DigitClassifier, DigitRegressor])
@pytest.mark.parametrize("trainings", [{}, {"n_seeds": 2, "is_ensemble": True}], ids=["one", "ensemble"])
def test_checks_of_scikit_learn_pass(kind, trainings):
    options = {**QUICK, "overrides": {**TINY, "tune.lr": (0.01, 0.01)}, **trainings}
    outcomes = check_estimator(kind(**options), on_fail=None)
    failed = {outcome["check_name"]: outcome["exception"] for outcome in outcomes if outcome["status"] == "failed"}
    # It wants predictions of one and of many sequences equal to 1e-7, less than the last bit of float32.
    if "check_methods_subset_invariance" in failed:
        (found,) = re.findall(r"Max relative difference.*: (\S+)", str(failed.pop("check_methods_subset_invariance")))
        assert float(found) < 1e-6
    assert failed == {}
    assert sum(outcome["status"] == "passed" for outcome in outcomes) > 50


@pytest.mark.filterwarnings("ignore:Can't test estimator:sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("kind", [DashaSequenceClassifier, DashaSequenceRegressor])
@pytest.mark.parametrize("trainings", [{}, {"n_seeds": 2, "is_ensemble": True}], ids=["one", "ensemble"])
def test_checks_of_scikit_learn_that_need_no_matrix_of_features_pass(kind, trainings):
    outcomes = check_estimator(kind(**QUICK, **trainings), on_fail=None)
    assert all(outcome["status"] == "passed" for outcome in outcomes)
