import json
import math
import os
import pickle
import shutil
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dasha import Dasha, TaskSpec
from dasha.data.turns import FlipsAndTurns
from dasha.errors import DashaError, DashaWarning, InvalidArgumentError, NotFittedError, StateFileError
from dasha.manager import get_manager
from dasha.metrics import Metrics
from dasha.randomness import seeded
from dasha.search import initial_weights, load_model
from dasha.search.cost import operations_of
from dasha.search.evaluation import samples_at_once
from dasha.search.own_objects import described
from dasha.search.result import Collected

from .tiny import TASK, TEST, TRAIN, VALIDATION, Tiny, run_of, sequences, states_of_generators

FEW = {"search.epochs": 1, "tune.trials": 1, "tune.max_resource": 1, "retrain.epochs": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    run = run_of(path, n_seeds=2, is_ensemble=True).fit(TRAIN, VALIDATION)
    return run, path


def test_a_run_gives_a_model_and_says_how(finished):
    run, path = finished
    assert set(run.architecture) == {"first", "second"}
    assert set(run.hyperparameters) == {"lr", "momentum", "weight_decay", "dropout", "seed"}
    assert run.result.parameters == sum(weight.numel() for weight in run.model.members[0].parameters())
    assert run.result.flops > 0
    assert len(run.result.curves) == 2
    assert run.predict(TEST[0]).sum(1) == pytest.approx(np.ones(10), abs=1e-5)
    assert not (path / "search" / "checkpoint.pt").exists()
    assert not (path / "tune" / "trial.pt").exists()


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 12), 256), ((3, 64, 64), 256), ((3, 332, 332), 9), ((3, 1024, 2048), 1)]
)
def test_fewer_large_inputs_are_predicted_at_once(shape, size):
    assert samples_at_once(shape) == size


def test_prediction_and_evaluation_are_bounded_by_positions(finished, monkeypatch):
    run, _ = finished
    whole, measured = run.predict(TEST[0]), run.evaluate(TEST).metrics
    monkeypatch.setattr("dasha.search.evaluation._POSITIONS_AT_ONCE", 36)
    sizes = set()
    hook = nn.modules.module.register_module_forward_pre_hook(lambda module, inputs: sizes.add(len(inputs[0])))
    try:
        assert run.predict(TEST[0]) == pytest.approx(whole, abs=1e-6)
        assert run.evaluate(TEST).metrics == pytest.approx(measured, abs=1e-6)
    finally:
        hook.remove()
    assert sizes == {3, 1}


def test_predictions_that_are_shown_are_from_all_samples():
    task = TaskSpec("dense_regression", 1, 1)
    collected = Collected(task)
    for start in range(0, 8000, 1000):
        numbers = torch.arange(start, start + 1000.0).view(1, 1, 1000)
        collected.add(numbers + 1, numbers)
    pairs = np.array(collected.scatter)
    assert pairs.shape == (2000, 2)
    assert np.array_equal(pairs[:, 1], pairs[:, 0] + 1)
    assert np.all(np.diff(pairs[:, 0]) > 0)
    assert np.histogram(pairs[:, 0], 8, (0, 8000))[0].min() > 200
    few = Collected(task)
    few.add(torch.zeros(2, 1, 3), torch.arange(6).view(2, 1, 3))
    assert few.scatter == [[number, 0] for number in range(6)]


@pytest.mark.parametrize("size", [1, 7, 40])
def test_labels_are_counted_over_all_predictions(size):
    task = TaskSpec("multilabel", 1, 3)
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(40, 3, generator=generator) < torch.tensor([0.5, 0.2, 0.0])).long()
    outputs = torch.randn(40, 3, generator=generator) + targets
    collected, metrics = Collected(task), Metrics(task)
    for rows in torch.arange(40).split(size):
        collected.add(outputs[rows], targets[rows])
        metrics.update(outputs[rows], targets[rows])
    labels = collected.labels
    for number, label in enumerate(labels):
        said, true = (outputs[:, number] > 0).tolist(), targets[:, number].tolist()
        pairs = list(zip(true, said, strict=True))
        assert [label[name] for name in ("found", "missed", "wrong")] == [
            pairs.count((1, True)),
            pairs.count((1, False)),
            pairs.count((0, True)),
        ]
    assert math.isnan(labels[2]["average_precision"])  # no sample has it
    expected = metrics.compute()
    assert np.mean([label["average_precision"] for label in labels[:2]]) == pytest.approx(expected["average_precision"])
    f1 = [2 * one["found"] / (2 * one["found"] + one["missed"] + one["wrong"]) for one in labels]
    assert np.mean(f1) == pytest.approx(expected["f1"])
    assert collected.confusion == collected.scatter == []


def test_a_single_label_and_predictions_that_are_not_finite_are_counted():
    single = Collected(TaskSpec("multilabel", 1, 1))
    single.add(torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([1, 1, 0]))
    (label,) = single.labels
    assert label == {"found": 1, "missed": 1, "wrong": 1, "average_precision": pytest.approx(7 / 12)}
    broken = Collected(TaskSpec("multilabel", 1, 2))
    broken.add(torch.full((2, 2), math.nan), torch.ones(2, 2))
    assert [label["missed"] for label in broken.labels] == [2, 2]
    assert all(math.isnan(label["average_precision"]) for label in broken.labels)
    assert Collected(TASK).labels == []


def test_inputs_to_predict_are_taken_as_those_to_train_on(finished):
    run, path = finished
    x, y = TEST
    backwards = run.predict(x[:, :, ::-1])
    assert np.array_equal(backwards, run.predict(x[:, :, ::-1].copy()))
    assert np.array_equal(run.predict(x.tolist()), run.predict(x))
    images = np.stack([x, x], 2)
    with pytest.raises(InvalidArgumentError, match="the array of inputs is not numeric"):
        run.predict(np.array([["a"]]))
    for opened in (run, Dasha.resume(path, backbone=Tiny, is_shown=False)):
        with pytest.raises(InvalidArgumentError, match=r"inputs have shape \(N, 1, 2, 12\), but .* takes \(N, 1, L\)"):
            opened.predict(images)
        with pytest.raises(InvalidArgumentError, match=r"inputs have shape \(N, 2, 12\), but this"):
            opened.predict(images[:, 0])
        with pytest.raises(InvalidArgumentError, match=r"test has inputs of shape \(N, 1, 2, 12\), but this"):
            opened.evaluate((images, y))


def test_predictions_are_of_arrays_in_their_order(finished):
    run, _ = finished
    assert run.predict(TEST[0][:0]).shape == (0, 2)
    for data in (TensorDataset(torch.tensor(TEST[0])), loader_of(TEST, batch_size=4)):
        with pytest.raises(InvalidArgumentError, match=r"inputs is \w+, but must be an array \(N, C, …\), whose order"):
            run.predict(data)


def test_the_report_of_a_run_without_a_folder_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = run_of(search="off", overrides=FEW).fit(TRAIN, VALIDATION).report()
    assert path.resolve() == tmp_path / "report.html"
    assert path.is_file()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_networks_are_trained_where_the_caller_wants_no_gradients(tmp_path, mode):
    expected = run_of(overrides=FEW).fit(TRAIN, VALIDATION).model.state_dict()
    with mode():
        found = run_of(tmp_path, overrides=FEW).fit(TRAIN, VALIDATION).model.state_dict()
        assert not torch.is_grad_enabled()
    for one, other in zip(found.values(), expected.values(), strict=True):
        assert torch.equal(one, other)


def test_autocast_of_the_caller_changes_nothing(finished, tmp_path):
    run, _ = finished
    expected = run.predict(TEST[0]), run.evaluate(TEST)
    alone = run_of(overrides=FEW, seed=1).fit(TRAIN, VALIDATION).model.state_dict()
    with torch.autocast("cpu"):
        assert np.array_equal(run.predict(TEST[0]), expected[0])
        assert run.evaluate(TEST) == expected[1]
        within = run_of(overrides=FEW, seed=1).fit(TRAIN, VALIDATION).model.state_dict()
        assert torch.is_autocast_enabled("cpu")
    for one, other in zip(within.values(), alone.values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("is_inside", [False, True])
def test_every_step_in_bfloat16_has_the_weights_of_its_own(is_inside):
    overrides = {**FEW, "precision": "bfloat16", "retrain.epochs": 12}
    with torch.autocast("cpu", enabled=is_inside):
        losses = run_of(overrides=overrides, seed=1).fit(TRAIN, VALIDATION).result.curves[0]["losses"]
    single = run_of(overrides={**overrides, "precision": "float32"}, seed=1).fit(TRAIN, VALIDATION)
    assert losses == pytest.approx(single.result.curves[0]["losses"], abs=0.05)


def test_several_seeds_have_an_interval(finished):
    run, path = finished
    evaluation = run.evaluate(TEST)
    first, second = (one["loss"] for one in evaluation.per_seed)
    # Student's t with one degree of freedom; the deviation of two values is their distance over the root of two.
    assert evaluation.interval["loss"] == pytest.approx(12.7062 * abs(first - second) / 2, rel=1e-4)
    assert evaluation.mean["loss"] == pytest.approx((first + second) / 2)
    assert evaluation["loss"] != pytest.approx(evaluation.mean["loss"], rel=1e-9)  # of the ensemble
    assert json.loads((path / "evaluation.json").read_text())["count"] == 10
    assert np.sum(evaluation.confusion) == 10


def test_a_finished_run_is_opened_without_data(finished):
    run, path = finished
    opened = Dasha.resume(path, backbone=Tiny, is_shown=False)
    assert opened.result == run.result
    assert np.array_equal(opened.predict(TEST[0]), run.predict(TEST[0]))
    assert np.allclose(load_model(path, network=Tiny)(torch.tensor(TEST[0])).softmax(1).detach(), run.predict(TEST[0]))
    assert opened.evaluate(TEST) == run.evaluate(TEST)


def test_a_finished_run_in_a_folder_that_cannot_be_written_to_is_evaluated(finished, monkeypatch, tmp_path):
    run, path = finished
    expected = run.evaluate(TEST)
    opened = Dasha.resume(path, backbone=Tiny, is_shown=False)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("dasha.runs.os.fsync", refuse)
        with pytest.warns(DashaWarning, match=r"could not be kept in .*run \(Permission denied\)"):
            assert opened.evaluate(TEST) == expected
        with pytest.raises(InvalidArgumentError, match=r"cannot write .*report\.html: Permission denied; name another"):
            opened.report()
    with pytest.raises(InvalidArgumentError, match=r"cannot write .*: Is a directory; name another file as target"):
        opened.report(tmp_path)


def test_a_run_stays_where_it_was_begun_wherever_the_process_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_of("runs/one", overrides=FEW).fit(TRAIN, VALIDATION)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert run.run_dir == tmp_path / "runs" / "one"
    run.evaluate(TEST)
    assert run.report() == tmp_path / "runs" / "one" / "report.html"
    assert (tmp_path / "runs" / "one" / "evaluation.json").is_file()
    assert not list((tmp_path / "other").iterdir())
    run.fit(TRAIN, VALIDATION)


def test_a_run_whose_folder_is_gone_is_evaluated_and_leaves_none(tmp_path):
    run = run_of(tmp_path / "run", search="off", overrides=FEW).fit(TRAIN, VALIDATION)
    expected = run.evaluate(TEST)
    copied = pickle.loads(pickle.dumps(run))
    shutil.rmtree(run.run_dir)
    with pytest.warns(DashaWarning, match=r"could not be kept in .*run \(No such file or directory\)"):
        assert copied.evaluate(TEST) == expected
    assert not run.run_dir.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_temporary_folder_goes_with_the_process_that_made_it():
    run = run_of(search="off")
    path = run.run_dir
    child = os.fork()
    if child == 0:
        try:
            del run
        finally:
            os._exit(path.is_dir())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    del run
    assert not path.exists()


def test_a_finished_run_with_data_repeats_nothing(finished, monkeypatch):
    run, path = finished

    def refuse(*arguments, **options):
        raise AssertionError("trained")

    for stage in ("kernels", "course", "retrain"):
        monkeypatch.setattr(f"dasha.search.{stage}.train_epoch", refuse)
    again = Dasha.resume(path, TRAIN, VALIDATION, backbone=Tiny, is_shown=False)
    assert np.array_equal(again.predict(TEST[0]), run.predict(TEST[0]))


def test_other_data_and_settings_are_refused_by_name(finished):
    _, path = finished
    options = {"n_seeds": 2, "is_ensemble": True}
    with pytest.raises(InvalidArgumentError, match=r"settings\.seed: 0 there, 4 now"):
        run_of(path, seed=4, **options).fit(TRAIN, VALIDATION)
    with pytest.raises(InvalidArgumentError, match=r"data\.train\.fingerprint"):
        run_of(path, **options).fit(sequences(20, seed=7), VALIDATION)
    with pytest.raises(InvalidArgumentError, match=r"budget\.tune\.trials: 3 there, 9 now"):
        run_of(path, overrides={"tune.trials": 9}, **options).fit(TRAIN, VALIDATION)
    with pytest.raises(InvalidArgumentError, match="seed= belongs to the run"):
        Dasha.resume(path, backbone=Tiny, seed=3)
    with pytest.raises(InvalidArgumentError, match="'Tiny', which is not registered here"):
        Dasha.resume(path)


def loader_of(data, **options):
    return DataLoader(TensorDataset(*map(torch.as_tensor, data)), **options)


@pytest.mark.filterwarnings("ignore:train is a DataLoader that does not shuffle")
@pytest.mark.parametrize(
    ("form", "difference"),
    [
        (lambda: TRAIN, r"data\.train\.batches\.kind: 'loader' there, 'arrays' now"),
        (lambda: TensorDataset(*map(torch.as_tensor, TRAIN)), r"batches\.kind: 'loader' there, 'dataset' now"),
        (lambda: loader_of(TRAIN, batch_size=5), r"data\.train\.batches\.batch_size: 10 there, 5 now"),
        (lambda: loader_of(TRAIN, batch_size=10, drop_last=True), r"batches\.drop_last: False there, True now"),
    ],
)
def test_the_same_values_in_other_batches_are_refused(tmp_path, form, difference):
    options = {"search": "off", "overrides": {"tune.trials": 1}}
    run_of(tmp_path, **options).fit(loader_of(TRAIN, batch_size=10), VALIDATION)
    with pytest.raises(InvalidArgumentError, match=difference):
        run_of(tmp_path, **options).fit(form(), VALIDATION)
    run_of(tmp_path, **options).fit(loader_of(TRAIN, batch_size=10), VALIDATION)
    config = json.loads((tmp_path / "config.json").read_text())
    for part in config["data"].values():
        del part["batches"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    run_of(tmp_path, **options).fit(form(), VALIDATION)
    assert "batches" in json.loads((tmp_path / "config.json").read_text())["data"]["train"]


def layers(activation, *, seed=0, channels=4):
    with seeded(seed):
        head = nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 2)
        return nn.Sequential(nn.Conv1d(1, channels, 3, padding=1), activation, *head)


def turned_around(x, y):
    return x.flip(-1), y


@dataclass
class Times:
    factor: float

    def __call__(self, x, y):
        return self.factor * x, y


def as_it_is(x, y):
    return x, y


def test_other_modules_and_functions_are_refused_by_name(tmp_path):
    run = run_of(tmp_path, backbone=layers(nn.ReLU()), augment=as_it_is, overrides=FEW).fit(TRAIN, VALIDATION)

    def refused(match, **changes):
        given = {"backbone": layers(nn.ReLU()), "augment": as_it_is, "overrides": FEW, **changes}
        with pytest.raises(InvalidArgumentError, match=match):
            run_of(tmp_path, **given).fit(TRAIN, VALIDATION)

    refused(r"own\.backbone\.layers: '\w{16}' there, '\w{16}' now\)", backbone=layers(nn.SELU()))
    refused(r"own\.backbone\.layers: .* own\.backbone\.weights", backbone=layers(nn.ReLU(), channels=8))
    refused(r"\(own\.backbone\.weights: '\w{16}' there", backbone=layers(nn.ReLU(), seed=1))
    refused(r"own\.augment: '.*\.as_it_is' there, '.*\.turned_around' now", augment=turned_around)
    refused(r"own\.augment: '.*\.as_it_is' there, None now", augment=None)
    refused(r"own\.augment: .* 'Times\(factor=2\)' now", augment=Times(2))
    refused(r"own\.space: None there, '.*_slow_space' now", space=_slow_space)
    refused(r"own\.is_searched: None there, 'tests\.search\.", is_searched=lambda name, module: name == "0")
    with pytest.raises(InvalidArgumentError, match="augment"):
        Dasha.resume(tmp_path, TRAIN, VALIDATION, backbone=layers(nn.ReLU()), is_shown=False)
    with pytest.raises(InvalidArgumentError, match="backbone=Sequential has other layers than that of the run"):
        Dasha.resume(tmp_path, backbone=layers(nn.SELU()))
    opened = Dasha.resume(tmp_path, backbone=layers(nn.ReLU(), seed=1), is_shown=False)
    assert np.array_equal(opened.predict(TEST[0]), run.predict(TEST[0]))


def test_a_folder_that_does_not_tell_what_was_the_users_own_goes_on(tmp_path):
    run_of(tmp_path, overrides=FEW).fit(TRAIN, VALIDATION)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({name: part for name, part in config.items() if name != "own"}))
    run_of(tmp_path, overrides=FEW).fit(TRAIN, VALIDATION)
    assert json.loads((tmp_path / "config.json").read_text()) == config


def test_objects_are_told_by_what_they_say_of_themselves():
    assert described(FlipsAndTurns()) == "FlipsAndTurns(is_dense=False)"
    assert described(as_it_is) == f"{__name__}.as_it_is"
    assert described(FlipsAndTurns(is_dense=True).__call__) == "__call__ of FlipsAndTurns(is_dense=True)"
    assert described(partial(as_it_is, y=1)) == "functools.partial(<function as_it_is>, y=1)"
    assert described(Tiny) == "tests.search.tiny.Tiny"
    assert described(layers(nn.ReLU())) == described(layers(nn.ReLU()))


def test_what_is_no_task_is_named():
    with pytest.raises(InvalidArgumentError, match=r"task='multiclass' must be a dasha\.TaskSpec, such as"):
        Dasha("multiclass")


def test_a_folder_without_a_run_is_not_resumed_nor_made(tmp_path):
    with pytest.raises(StateFileError, match=r"there is no run in .*config\.json is missing"):
        Dasha.resume(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(StateFileError, match=r"config\.json"):
        Dasha.resume(tmp_path)
    with pytest.raises(InvalidArgumentError, match="is another one"):
        run_of(tmp_path).fit(TRAIN, VALIDATION)
    assert [file.name for file in tmp_path.iterdir() if file.name != ".lock"] == ["config.json"]


def test_damaged_stages_are_named(tmp_path):
    run_of(tmp_path, overrides=FEW).fit(TRAIN, VALIDATION)
    for name in ("result.json", "model.safetensors", "tune.json", "search.json", "tune/initial.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for content in (b"{}", whole[: len(whole) // 2]):
            (tmp_path / name).write_bytes(content)
            data = () if name in ("result.json", "model.safetensors") else (TRAIN, VALIDATION)
            with pytest.raises(StateFileError, match=name):
                Dasha.resume(tmp_path, *data, backbone=Tiny, is_shown=False)
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "result.json").unlink()
    with pytest.raises(InvalidArgumentError, match="is not finished; pass its train and validation data"):
        Dasha.resume(tmp_path, backbone=Tiny)
    # What the error of a damaged file advises.
    initial = (tmp_path / "tune" / "initial.safetensors").read_bytes()
    (tmp_path / "tune" / "initial.safetensors").unlink()
    Dasha.resume(tmp_path, TRAIN, VALIDATION, backbone=Tiny, is_shown=False)
    assert (tmp_path / "tune" / "initial.safetensors").read_bytes() == initial


def test_a_folder_that_is_in_use_is_refused(tmp_path):
    run = run_of(tmp_path, overrides=FEW)
    with run._folder.locked(), pytest.raises(InvalidArgumentError, match="another process works in"):
        run.fit(TRAIN, VALIDATION)


def test_what_belongs_to_the_caller_is_as_before():
    module = Tiny(in_channels=1, num_outputs=2)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    arrays = [part.copy() for part in (*TRAIN, *VALIDATION)]
    pairs = list(zip(*TRAIN, strict=True))
    loader = torch.utils.data.DataLoader(pairs, batch_size=8, shuffle=True)
    before = states_of_generators(), torch.are_deterministic_algorithms_enabled()
    run = run_of(backbone=module, overrides=FEW, is_deterministic=True).fit(loader, VALIDATION)
    run.evaluate(loader)
    assert (states_of_generators(), torch.are_deterministic_algorithms_enabled()) == before
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    assert module.training
    for part, copy in zip((*TRAIN, *VALIDATION), arrays, strict=True):
        assert np.array_equal(part, copy)


def test_loaders_and_arrays_are_the_same_run_twice():
    pairs = list(zip(*TRAIN, strict=True))
    for train in (TRAIN, pairs, torch.utils.data.DataLoader(pairs, batch_size=8, shuffle=True)):
        one, two = (run_of(overrides=FEW).fit(train, VALIDATION) for _ in range(2))
        assert np.array_equal(one.predict(TEST[0]), two.predict(TEST[0]))


def test_without_a_search_the_kernels_stay():
    run = run_of(overrides=FEW, search="off").fit(TRAIN, VALIDATION)
    assert run.architecture == {}
    assert run.model[1].first.kernel_size == (3,)


def test_random_kernels_follow_the_seed():
    one, two = (run_of(overrides=FEW, search="random", seed=6).fit(TRAIN, VALIDATION) for _ in range(2))
    assert one.architecture == two.architecture
    assert set(one.architecture) == {"first", "second"}


@pytest.mark.parametrize("kernels", ["searched", "own"])
def test_trials_choose_between_searched_kernels_and_own_ones(tmp_path, kernels):
    changes = {"search.kernel_sizes": (5,), "tune.first": {"kernels": kernels}}
    run = run_of(tmp_path, search="auto", overrides={**FEW, **changes})
    found = run.search(TRAIN, VALIDATION)
    assert found.hyperparameters["kernels"] == kernels
    searched = json.loads((run.run_dir / "search.json").read_text())["architecture"]
    assert set(searched) == {"first", "second"}
    kept = {name: tuple(pair) for name, pair in searched.items()} if kernels == "searched" else {}
    assert found.plan.architecture == run.fit(TRAIN, VALIDATION).architecture == kept
    assert run.model[1].first.kernel_size == ((5,) if kernels == "searched" else (3,))
    model = load_model(run.run_dir, network=Tiny)
    assert torch.equal(model(torch.tensor(TEST[0])), run.model(torch.tensor(TEST[0])))
    page = run.report().read_text()
    assert ("with its own kernels" in page) == (kernels == "own")
    assert ("Tuning preferred" in page) == (kernels == "own")


def test_more_trials_than_one_try_both_kernels(tmp_path):
    run = run_of(tmp_path, search="auto", overrides={**FEW, "tune.trials": 8}, space=_slow_space).fit(TRAIN, VALIDATION)
    tried = json.loads((tmp_path / "tune.json").read_text())["trials"]
    assert {trial["hyperparameters"]["kernels"] for trial in tried} == {"searched", "own"}
    assert all(trial["hyperparameters"]["lr"] == 0.01 for trial in tried)  # a space of one's own is extended
    best = max(tried, key=lambda trial: max(trial["scores"]))
    assert run.hyperparameters == best["hyperparameters"]


def _slow_space(trial):
    seed = trial.suggest_int("seed", 0, 9)
    return {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0, "seed": seed}


def test_the_networks_of_all_trainings_and_what_predicts_of_them(finished):
    run, _ = finished
    assert len(run.members) == 2
    x = torch.tensor(TEST[0])
    together = torch.stack([member(x) for member in run.members]).mean(0)
    assert torch.allclose(together, run.model(x))
    plain, turned = run.evaluate(TEST), run.evaluate(TEST, predictor=Turned)
    assert turned["accuracy"] == pytest.approx(1 - plain["accuracy"])
    for one, other in zip(plain.per_seed, turned.per_seed, strict=True):
        assert other["accuracy"] == pytest.approx(1 - one["accuracy"])
    assert json.loads((run.run_dir / "evaluation.json").read_text())["confusion"] == turned.confusion


class Turned(nn.Module):
    """The opposite of what a network says."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return -self.network(x)


def test_auto_takes_the_backbone_with_the_best_validation_score(tmp_path):
    run = run_of(tmp_path, backbone="auto", overrides=FEW, search="off").fit(TRAIN, VALIDATION)
    scores = run.result.backbone_scores
    assert len(scores) > 1
    assert scores[run.result.backbone] >= max(scores.values()) - 0.5 / len(VALIDATION[0]) ** 0.5
    opened = Dasha.resume(tmp_path, TRAIN, VALIDATION, is_shown=False)
    assert opened.result.backbone == run.result.backbone
    assert load_model(tmp_path)(torch.tensor(TEST[0])).shape == (10, 2)


@pytest.mark.parametrize(
    ("metric", "apart", "chosen"),
    # Of ten samples a share is known to 0.16.
    [
        ("accuracy", 0.0, "wide_resnet_1d"),
        ("accuracy", 0.15, "wide_resnet_1d"),
        ("accuracy", 0.17, "aligned_resnet_1d"),
        ("mse", 0.0, "wide_resnet_1d"),
        ("mse", 0.01, "aligned_resnet_1d"),
    ],
)
def test_of_backbones_with_about_the_same_score_the_one_with_the_least_loss_is_taken(
    monkeypatch, metric, apart, chosen
):
    losses = {"UNet1d": 0.5, "WideResNet1d": 0.2, "AlignedResNet1d": 0.3, "PeakResNet1d": 0.4}
    sign = -1 if metric == "mse" else 1

    def close(network, *arguments, **options):
        name = type(network).__name__
        return {metric: 0.75 + sign * apart * (name != "WideResNet1d"), "loss": losses.get(name, 1.0)}

    monkeypatch.setattr("dasha.search.selection.evaluate", close)
    assert len(VALIDATION[0]) == 10
    task = TaskSpec("regression", 1, 1, metric="mse") if metric == "mse" else TASK
    train, validation = ((x, y.astype("float32") if metric == "mse" else y) for x, y in (TRAIN, VALIDATION))
    found = run_of(task=task, backbone="auto", overrides=FEW, search="off").search(train, validation)
    assert found.plan.backbone == chosen
    assert len(found.backbone_scores) >= 3


@pytest.mark.parametrize("name", ["auto", "bfloat16"])
def test_a_run_goes_on_elsewhere_in_the_precision_that_it_was_begun_in(tmp_path, monkeypatch, name):
    def on_a_machine(has_bfloat16):
        monkeypatch.setattr("dasha.search.devices._multiplies_bfloat16", lambda device: has_bfloat16)
        return run_of(tmp_path, overrides={**FEW, "precision": name})

    on_a_machine(True).search(TRAIN, VALIDATION)
    run = on_a_machine(False).fit(TRAIN, VALIDATION)
    assert json.loads((tmp_path / "config.json").read_text())["budget"]["precision"] == "bfloat16"
    assert run.hyperparameters == Dasha.resume(tmp_path, TRAIN, VALIDATION, backbone=Tiny).hyperparameters


@pytest.mark.parametrize("budget", [[], None, {"precision": "int8"}])
def test_a_damaged_budget_is_named(tmp_path, budget):
    run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION)
    stored = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**stored, "budget": budget}))
    with pytest.raises(StateFileError, match=r"config\.json"):
        run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION)


@pytest.mark.parametrize(("has_bfloat16", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_a_run_computes_in_what_the_machine_is_fast_in(tmp_path, monkeypatch, has_bfloat16, precision):
    monkeypatch.setattr("dasha.search.devices._multiplies_bfloat16", lambda device: has_bfloat16)
    run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION)
    assert json.loads((tmp_path / "config.json").read_text())["budget"]["precision"] == precision


def test_cheaper_backbones_get_so_many_more_epochs(tmp_path):
    run = run_of(tmp_path, backbone="auto", overrides={**FEW, "selection_epochs": 3}, search="off")
    run.search(TRAIN, VALIDATION)
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    epochs = {event["name"]: event["epochs"] for event in events if event["event"] == "backbone"}
    networks = get_manager().backbones
    operations = {
        name: operations_of(networks[name](in_channels=1, num_outputs=2, output="vector", width=1), TRAIN[0].shape[1:])
        for name in epochs
    }
    dearest = max(operations, key=lambda name: operations[name])
    assert epochs == {name: round(3 * operations[dearest] / own) for name, own in operations.items()}
    assert min(epochs.values()) == epochs[dearest] == 3 < max(epochs.values())


def test_the_seconds_of_the_choice_of_the_backbone_outlast_an_interruption(tmp_path):
    options = {"backbone": "auto", "overrides": {"backbone_options": {}}}
    first = run_of(tmp_path, **options).search(TRAIN, VALIDATION).seconds["backbone"]
    assert first > 0.01
    assert run_of(tmp_path, **options).fit(TRAIN, VALIDATION).result.seconds["backbone"] == first


def test_the_final_training_may_see_the_validation_data(tmp_path):
    run = run_of(tmp_path, overrides=FEW, include_validation=True).fit(TRAIN, VALIDATION)
    assert run.result.curves[0]["validation"] == []


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"accumulate": 2}])
def test_precision_and_accumulation_run(changes):
    run = run_of(overrides={**FEW, **changes}).fit(TRAIN, VALIDATION)
    assert np.isfinite(run.predict(TEST[0])).all()
    assert next(run.model.parameters()).dtype == torch.float32


def images(count, channels=1):
    return np.random.default_rng(count).standard_normal((count, channels, 8, 8)).astype("float32")


def with_targets(kind, count):
    if kind == "regression":
        x, labels = sequences(count)
        return x, np.stack([labels, -labels], 1).astype("float32")
    if kind == "multilabel":
        x, labels = sequences(count)
        return x, np.stack([labels, 1 - labels], 1)
    if kind == "binary":
        return sequences(count)
    x = images(count)
    return x, (x[:, 0] > 0).astype("int64") if kind == "segmentation" else np.concatenate([x, -x], 1)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression", "segmentation", "dense_regression"])
def test_every_kind_of_task_runs(kind, tmp_path):
    task = TaskSpec(kind, 1, 1 if kind == "binary" else 2)
    ndim = 2 if task.is_dense else 1

    def factory(**arguments):
        return Tiny(**arguments, ndim=ndim)

    train, validation, test = (with_targets(kind, count) for count in (20, 10, 12))
    run = run_of(task=task, backbone=factory, overrides=FEW).fit(train, validation)
    evaluation = run.evaluate(test)
    assert math.isfinite(evaluation[task.metric])
    assert run.predict(test[0]).shape == (12, task.num_outputs, *((8, 8) if task.is_dense else ()))
    assert bool(evaluation.confusion) == task.has_classes
    assert bool(evaluation.scatter) == ("regression" in kind)
    assert len(evaluation.labels) == (2 if kind == "multilabel" else 0)
    stored = json.loads((run.run_dir / "evaluation.json").read_text())
    assert (stored["confusion"], stored["labels"]) == (evaluation.confusion, evaluation.labels)
    assert sum(map(bool, (evaluation.confusion, evaluation.scatter, evaluation.labels))) == 1
    assert "Test data" in run.report(tmp_path / "page.html").read_text(encoding="utf-8")


def test_augmentation_and_a_space_of_ones_own_are_used():
    calls = []

    def augment(x, y):
        calls.append(len(x))
        return x + 0.01 * torch.randn_like(x), y

    def space(trial):
        return {"lr": trial.suggest_float("lr", 0.01, 0.02), "momentum": 0.9, "weight_decay": 0.0, "seed": 1}

    run = run_of(overrides=FEW, augment=augment, space=space).fit(TRAIN, VALIDATION)
    assert calls
    assert 0.01 <= run.hyperparameters["lr"] <= 0.02


def _fails(*given):
    raise ValueError("own\nmistake")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {"lr": 0.1}}, r"space=\{'lr': 0.1\} must be a function"),
        ({"augment": 3}, "augment=3 must be a function"),
        ({"is_searched": "all"}, "is_searched='all' must be a function"),
        ({"backbone": 3}, "backbone=3 must be a function"),
    ],
)
def test_what_is_no_function_is_refused_at_once(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        run_of(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": lambda trial: {"lr": 0.1}}, "space gives no momentum, weight_decay, seed; a trial needs lr"),
        (
            {"space": lambda trial: 0.1},
            "space gives float, but it is called with an Optuna trial and must return a map",
        ),
        ({"space": _fails}, r"space fails on a trial \(ValueError: own\); it is called with an Optuna trial"),
        ({"space": lambda trial: {**_slow_space(trial), "lr": "low"}}, "space gives lr='low', but must give a number"),
        (
            {"augment": _fails},
            r"augment fails on inputs and targets of shape \(2, 1, 12\) and \(2,\) \(ValueError: own",
        ),
        (
            {"augment": lambda x, y: None},
            r"augment gives NoneType, but it is called with inputs \(N, C, …\) and targets",
        ),
        ({"augment": lambda x, y: x}, "augment gives Tensor, but it is called"),
        ({"augment": lambda x, y: (x[:1], y)}, r"augment turns inputs .* into \(1, 1, 12\) and \(2,\); it is called"),
        ({"augment": lambda x, y: (x[:, 0], y)}, r"augment turns inputs .* into \(2, 12\) and \(2,\)"),
        (
            {"is_searched": lambda module: True},
            r"is_searched fails on '', a Tiny \(TypeError: .*; it is called with the",
        ),
    ],
)
def test_functions_of_ones_own_are_tried_before_anything_is_searched(tmp_path, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        run_of(tmp_path, overrides=FEW, **options).fit(TRAIN, VALIDATION)
    assert not list(tmp_path.glob("*.json*"))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"lrr": 1}, r"tune\.first has 'lrr'; did you mean 'lr'\? trials suggest 'lr', 'weight_decay', .*'kernels'$"),
        (
            {"lr": "big"},
            r"tune\.first\['lr'\]='big' must be a number from 1e-05 to 0.5; change it, or what trials draw",
        ),
        ({"lr": 99.0}, r"tune\.first\['lr'\]=99.0 must be a number from"),
        ({"dropout": 0.7}, r"tune\.first\['dropout'\]=0.7 must be one of 0.0, 0.05, 0.1"),
        ({"seed": -1}, r"tune\.first\['seed'\]=-1 must be a whole number from 0 to 499"),
        ({"kernels": "mine"}, r"tune\.first\['kernels'\]='mine' must be one of 'searched', 'own'"),
    ],
)
def test_values_that_the_first_trial_cannot_take_are_refused(first, message):
    with pytest.raises(InvalidArgumentError, match=message):
        run_of(overrides={**FEW, "tune.lr": (1e-5, 0.5), "tune.first": first}).fit(TRAIN, VALIDATION)


def test_values_that_a_space_of_ones_own_does_not_ask_for_are_warned_of():
    run = run_of(overrides={**FEW, "tune.first": {"lr": 0.05, "seed": 3}}, search="off", space=_slow_space)
    with pytest.warns(DashaWarning, match=r"tune\.first has 'lr'; trials suggest 'seed'; the first trial does without"):
        run.search(TRAIN, VALIDATION)


def test_a_module_that_is_frozen_as_a_whole_is_refused():
    module = Tiny(in_channels=1, num_outputs=2).requires_grad_(False)
    with pytest.raises(InvalidArgumentError, match=r"backbone Tiny has no parameter to train; call requires_grad_\(\)"):
        run_of(backbone=module).fit(TRAIN, VALIDATION)
    module.head.requires_grad_()
    run = run_of(backbone=module, search="off", overrides=FEW).fit(TRAIN, VALIDATION)
    assert torch.equal(run.model[1].first.weight, module.first.weight)
    assert not torch.equal(run.model[1].head.weight, module.head.weight)


def test_trying_functions_changes_neither_data_nor_generators(monkeypatch):
    before, generators = TRAIN[0].copy(), states_of_generators()

    def augment(x, y):
        return x.add_(torch.rand(len(x), 1, 1)), y

    monkeypatch.setattr("dasha.search.workflow.find_network", _fails)
    with pytest.raises(ValueError, match="own"):
        run_of(augment=augment, space=_slow_space).fit(TRAIN, VALIDATION)
    assert np.array_equal(TRAIN[0], before)
    assert states_of_generators() == generators


def test_a_module_is_tuned_without_the_dropout_it_takes_no_notice_of(tmp_path):
    module = Tiny(in_channels=1, num_outputs=2, dropout=0.3)
    few = {**FEW, "tune.trials": 2}
    by_module = run_of(tmp_path / "module", backbone=module, overrides=few, search="off").search(TRAIN, VALIDATION)
    assert set(by_module.hyperparameters) == {"lr", "momentum", "weight_decay", "seed"}
    assert torch.equal(initial_weights(tmp_path / "module")["head.weight"], module.head.weight)
    run_of(tmp_path / "factory", overrides=few, search="off").search(TRAIN, VALIDATION)
    drawn, others = (
        [trial["hyperparameters"] for trial in json.loads((tmp_path / name / "tune.json").read_text())["trials"]]
        for name in ("module", "factory")
    )
    assert drawn == [{name: value for name, value in trial.items() if name != "dropout"} for trial in others]


def test_all_trials_diverged_is_one_clear_error():
    with pytest.raises(DashaError, match=r"all 1 trials diverged, the first because"):
        run_of(overrides={**FEW, "tune.lr": (1e30, 1e30)}, search="off").fit(TRAIN, VALIDATION)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bugdet": "quick"}, "no option 'bugdet'; did you mean 'budget'"),
        ({"search": "maybe"}, "search='maybe' must be one of 'auto', 'on', 'off', 'random'"),
        ({"is_ensemble": True}, "is_ensemble=True needs n_seeds of at least 2"),
        ({"n_seeds": 0}, "n_seeds=0 must be a whole number, at least 1"),
        ({"normalize": "yes"}, "normalize='yes' must be True or False"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
        ({"overrides": {"tune.trails": 1}}, "did you mean 'trials'"),
        ({"test": TEST}, "no option 'test'"),
    ],
)
def test_wrong_settings_are_refused_at_once(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Dasha(TASK, **options)


def test_no_test_data_in_fit_and_no_model_before():
    run = run_of()
    with pytest.raises(TypeError):
        run.fit(TRAIN, VALIDATION, TEST)
    for name in ("model", "result", "architecture", "hyperparameters"):
        with pytest.raises(NotFittedError, match="call fit"):
            getattr(run, name)
    with pytest.raises(NotFittedError):
        run.evaluate(TEST)
    with pytest.raises(InvalidArgumentError, match=r"run_dir=.* is a file"):
        run_of(__file__).fit(TRAIN, VALIDATION)


def test_a_network_without_convolutions_to_search_says_what_to_do():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(InvalidArgumentError, match="no convolution to search"):
        run_of(backbone=module).fit(TRAIN, VALIDATION)
    assert run_of(backbone=module, search="off", overrides=FEW).fit(TRAIN, VALIDATION).architecture == {}


@pytest.mark.parametrize(
    ("kind", "made", "needed"),
    [
        ("binary", 2, r"\(N, 1\)"),
        ("multiclass", 10, r"\(N, 3\)"),
        ("multiclass", 2, r"\(N, 3\)"),
        ("regression", 3, r"\(N, 1\)"),
        ("segmentation", 3, r"\(N, 2, 12\)"),
    ],
)
def test_outputs_of_another_shape_are_named_before_anything_is_written(tmp_path, kind, made, needed):
    numbers = {"binary": 1, "multiclass": 3, "regression": 1, "segmentation": 2}
    module = Tiny(in_channels=1, num_outputs=made, output="dense" if kind == "segmentation" else "vector")
    x, labels = sequences(20)
    targets = {"multiclass": np.arange(20) % 3, "regression": x[:, 0, 0], "segmentation": (x[:, 0] > 0).astype(int)}
    data = x, targets.get(kind, labels)
    before = states_of_generators()
    shape = rf"\(2, {made}{', 12' if kind == 'segmentation' else ''}\)"
    with pytest.raises(InvalidArgumentError, match=rf"backbone Tiny gives outputs of shape {shape} .* needs {needed};"):
        run_of(tmp_path, task=TaskSpec(kind, 1, numbers[kind]), backbone=module).fit(data, data)
    assert states_of_generators() == before
    assert not list(tmp_path.iterdir())


def test_a_network_that_cannot_take_the_data_says_so():
    module = nn.Sequential(nn.Flatten(), nn.Linear(13, 2))
    with pytest.raises(InvalidArgumentError, match=r"Sequential fails on inputs of shape \(2, 1, 12\) \(Runtime"):
        run_of(backbone=module, search="off").fit(TRAIN, VALIDATION)
    with pytest.raises(InvalidArgumentError, match="backbone Named gives a dict for inputs"):
        run_of(backbone=Named(), search="off").fit(TRAIN, VALIDATION)


class Named(nn.Module):
    """Outputs with a name."""

    def forward(self, x):
        return {"out": x}


def test_a_label_that_is_absent_from_validation_diverges_nothing():
    x, y = with_targets("multilabel", 20)
    validation = with_targets("multilabel", 10)
    validation[1][:, 1] = 0
    with pytest.warns(DashaWarning, match="validation has no sample of label 1"):
        run = run_of(task=TaskSpec("multilabel", 1, 2), overrides=FEW).fit((x, y), validation)
    assert 0 < run.result.tuning_score <= 1


def test_a_loader_of_single_samples_runs():
    loader = torch.utils.data.DataLoader(list(zip(*TRAIN, strict=True)), batch_size=1, shuffle=True)
    assert np.isfinite(run_of(overrides=FEW).fit(loader, VALIDATION).predict(TEST[0])).all()


class Stream(torch.utils.data.IterableDataset):
    """Samples whose number only a pass over them tells; counts those it gives."""

    def __init__(self, pairs):
        self.pairs, self.passes = pairs, []

    def __iter__(self):
        self.passes.append(0)
        for pair in self.pairs:
            self.passes[-1] += 1
            yield pair


def test_shares_and_limits_hold_for_loaders_of_unknown_length():
    stream, trained = Stream(list(zip(*TRAIN, strict=True))), []
    loader = torch.utils.data.DataLoader(stream, batch_size=2)

    def counted(x, y):
        trained.append(len(x))
        return x, y

    limits = {"search.batch_fraction": 0.5, "search.max_cost": 1e-12, "tune.max_cost": 1e-12, "retrain.max_cost": 1e-12}
    run_of(overrides={**FEW, **limits}, augment=counted).fit(loader, VALIDATION)
    assert stream.passes[0] == 20
    assert trained == [2, 2, 2, 2]  # two samples that tell whether it works, and others, drawn from whole passes
    trained.clear()
    run_of(overrides={**FEW, "search.batch_fraction": 0.5}, search="on", augment=counted).search(loader, VALIDATION)
    assert sum(trained) == 2 + 10 + 20


@pytest.mark.parametrize("kind", ["multiclass", "segmentation"])
def test_mappings_with_a_label_and_a_mask(kind):
    def samples(count):
        return [
            {"image": x, "label": int(i % 2), "mask": (x[0] > 0).long()}
            for i, x in enumerate(torch.tensor(images(count)))
        ]

    def factory(**arguments):
        return Tiny(**arguments, ndim=2)

    run = run_of(task=TaskSpec(kind, 1, 2), backbone=factory, overrides=FEW, search="off")
    assert run.fit(samples(20), samples(10)).evaluate(samples(12)).count == 12
