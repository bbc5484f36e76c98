import json

import pytest
import torch

from dasha import Dasha
from dasha.errors import InvalidArgumentError, StateFileError
from dasha.search import initial_weights, load_search

from .tiny import TRAIN, VALIDATION, Tiny, run_of


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    path = tmp_path_factory.mktemp("searched") / "run"
    return path, run_of(path).search(TRAIN, VALIDATION)


def test_a_search_ends_before_the_final_training(searched):
    path, found = searched
    assert not (path / "result.json").exists()
    assert not (path / "retrain").exists()
    assert set(found.plan.architecture) == {"first", "second"}
    assert {"lr", "momentum", "weight_decay", "seed"} <= set(found.hyperparameters)
    assert load_search(path) == load_search(path / "search.json") == found


def test_the_plan_builds_the_network_that_was_tuned(searched):
    path, found = searched
    network = found.plan.build_plain(Tiny)
    network.load_state_dict(initial_weights(path))
    assert network.first.kernel_size == (found.plan.architecture["first"][0],)
    normalized = found.plan.normalized(network)
    assert normalized.state_dict().keys() == found.plan.build(Tiny).state_dict().keys()
    x = torch.tensor(TRAIN[0])
    mean, std = (torch.tensor(found.plan.normalization[name]) for name in ("mean", "std"))
    torch.testing.assert_close(normalized.eval()(x), network.eval()((x - mean) / std))


def test_fit_goes_on_from_a_search(searched, tmp_path):
    path, found = searched
    run = run_of(path).fit(TRAIN, VALIDATION)
    whole = run_of(tmp_path / "whole").fit(TRAIN, VALIDATION)
    assert run.architecture == found.plan.architecture
    assert run.hyperparameters == found.hyperparameters
    for one, other in zip(run.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_an_unfinished_or_damaged_search_is_named(tmp_path):
    with pytest.raises(StateFileError, match=r"no finished search in .*plan\.json is missing"):
        load_search(tmp_path)
    with pytest.raises(StateFileError, match=r"cannot read .*initial\.safetensors"):
        initial_weights(tmp_path)
    for text in ("", "{}", "[1]", json.dumps({"plan": {"task": {}}})):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(StateFileError, match=r"cannot read .*plan\.json"):
            load_search(tmp_path)


def test_a_search_without_validation_data_is_refused():
    with pytest.raises(InvalidArgumentError, match="validation"):
        run_of().search(TRAIN, (VALIDATION[0][:0], VALIDATION[1][:0]))


def test_the_final_training_may_be_decided_on_after_the_search(tmp_path):
    path = tmp_path / "run"
    found = run_of(path).search(TRAIN, VALIDATION)
    later = {"n_seeds": 2, "is_ensemble": True, "include_validation": True, "overrides": {"retrain.epochs": 1}}
    with pytest.raises(InvalidArgumentError, match=r"settings\.seed: 0 there, 1 now"):
        run_of(path, seed=1, **later).fit(TRAIN, VALIDATION)
    run = run_of(path, **later).fit(TRAIN, VALIDATION)
    assert run.architecture == found.plan.architecture
    assert [len(curve["losses"]) for curve in run.result.curves] == [1, 1]
    opened = Dasha.resume(path, backbone=Tiny, is_shown=False)
    assert opened.config.n_seeds == 2
    with pytest.raises(InvalidArgumentError, match=r"settings\.n_seeds: 2 there, 3 now"):
        run_of(path, **{**later, "n_seeds": 3}).fit(TRAIN, VALIDATION)
