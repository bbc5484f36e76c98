import json
import math
from dataclasses import replace

import optuna
import pytest
import torch

from dasha import TaskSpec
from dasha.data.split import as_split
from dasha.errors import DashaError, InvalidArgumentError, StateFileError
from dasha.search.cost import operations_of
from dasha.search.course import Course, TrialWork, initial_network
from dasha.search.progress import Silent
from dasha.search.run_folder import RunFolder
from dasha.search.settings import TuneSettings
from dasha.search.study import rung_of
from dasha.search.training import Diverged, Learning
from dasha.search.trials import TuneOutcome
from dasha.search.tune import paper_space, tune

from .tiny import TASK, TRAIN, VALIDATION, Tiny


def make_network(hyperparameters):
    return Tiny(in_channels=1, num_outputs=2, dropout=hyperparameters.get("dropout", 0.0))


def work_in(path, **settings):
    learning = Learning(TASK, 8, torch.device("cpu"))
    splits = as_split(TRAIN, "train"), as_split(VALIDATION, "validation")
    return TrialWork(make_network, *splits, TRAIN[0].shape[1:], TuneSettings(**settings), learning, 5, RunFolder(path))


@pytest.fixture
def scripted(monkeypatch):
    """Scores by trial and epoch instead of training; counts the epochs."""
    epochs = []

    def install(score):
        def train(course, epoch):
            epochs.append((course.number, epoch))
            value = score(course.number, epoch)
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(Course, "_train", train)
        return epochs

    return install


@pytest.mark.parametrize(("task", "score", "shown"), [("mcc", -0.25, "-0.2500"), ("mse", -0.25, "0.2500")])
def test_progress_shows_the_metric_with_its_sign(tmp_path, scripted, task, score, shown):
    scripted(lambda number, epoch: score)
    told = []

    class Shown:
        def advance(self, done, note=""):
            told.append((done, note))

    work = work_in(tmp_path, trials=1, max_resource=1)
    own = replace(TASK, metric="mcc") if task == "mcc" else TaskSpec("regression", 1, 2)
    tune(replace(work, learning=replace(work.learning, task=own)), stage=Shown())
    assert told[0] == (0, "")
    assert told[-1] == (1, f"best {shown}")


def halving(scores, settings):
    """Epochs of every trial by arXiv 1810.05934 with one worker, written out."""
    rungs, used = {}, []
    for trial in range(settings.trials):
        epoch = 0
        while epoch < settings.max_resource:
            epoch += 1
            best = max(scores(trial, e) for e in range(1, epoch + 1))
            rung = math.log(epoch / settings.min_resource, settings.reduction_factor)
            if epoch < settings.max_resource and rung >= 0 and abs(rung - round(rung)) < 1e-9:
                values = rungs.setdefault(round(rung), [])
                values.append(best)
                if best < sorted(values, reverse=True)[max(1, len(values) // settings.reduction_factor) - 1]:
                    break
        used.append(epoch)
    return used


@pytest.mark.parametrize(
    ("least", "most", "factor"), [(1, 20, 2), (1, 9, 3), (2, 8, 2), (3, 5, 2), (1, 1, 2), (2, 1, 2)]
)
def test_epochs_are_those_of_successive_halving(tmp_path, scripted, least, most, factor):
    settings = {"trials": 14, "min_resource": least, "max_resource": most, "reduction_factor": factor}

    def score(trial, epoch):
        return math.sin(7.0 * trial + 0.2 * epoch) + 0.1 * epoch

    epochs = scripted(score)
    outcome = tune(work_in(tmp_path, **settings), stage=Silent())
    expected = halving(score, TuneSettings(**settings))
    assert [len(record.scores) for record in outcome.trials] == expected
    assert len(epochs) == sum(expected)
    assert outcome.score == max(max(record.scores) for record in outcome.trials)
    for record in outcome.trials:
        assert (record.state == "complete") == (len(record.scores) == most)


def test_rungs_are_powers_of_the_factor_times_the_least():
    settings = TuneSettings(min_resource=2, reduction_factor=3, max_resource=100)
    assert {epoch: rung_of(settings, epoch) for epoch in range(1, 60) if rung_of(settings, epoch) is not None} == {
        2: 0,
        6: 1,
        18: 2,
        54: 3,
    }


def test_diverging_trials_end_early_with_a_reason_and_the_lowest_score(tmp_path, scripted):
    scripted(lambda trial, epoch: (Diverged("loss is nan in batch 1"), -math.inf, 0.5)[trial])
    outcome = tune(work_in(tmp_path, trials=3, max_resource=2), stage=Silent())
    first, second, third = outcome.trials
    assert (first.state, first.reason, first.scores) == ("diverged", "loss is nan in batch 1", [])
    assert (second.state, second.reason) == ("diverged", "accuracy is not a number after 1 epochs")
    assert first.best == second.best == -math.inf
    assert (outcome.number, third.state) == (2, "complete")
    stored = json.loads(json.dumps(outcome.as_dict()).replace("-Infinity", "null"))
    assert TuneOutcome.of_dict(stored) == outcome


def test_a_trial_that_diverges_late_does_not_win(tmp_path, scripted):
    scripted(lambda trial, epoch: Diverged("gone") if (trial, epoch) == (0, 2) else 1.0 - 0.1 * trial)
    assert tune(work_in(tmp_path, trials=2, max_resource=2), stage=Silent()).number == 1


def test_all_diverged_is_an_error(tmp_path):
    work = work_in(tmp_path, trials=2, max_resource=2, lr=(1e30, 1e30))
    with pytest.raises(DashaError, match=r"all 2 trials diverged, the first because .* in batch .* lower tune\.lr"):
        tune(work, stage=Silent())


def test_the_same_seed_gives_the_same_trials_and_another_others(tmp_path):
    outcomes = [tune(work_in(tmp_path / name, trials=2, max_resource=1), stage=Silent()) for name in "ab"]
    assert outcomes[0].trials == outcomes[1].trials
    assert outcomes[0].trials[0].hyperparameters != outcomes[0].trials[1].hyperparameters


def test_a_finished_study_is_not_repeated_and_a_torn_line_survives(tmp_path, scripted):
    epochs = scripted(lambda trial, epoch: 0.1 * trial)
    work = work_in(tmp_path, trials=3, max_resource=2)
    first = tune(work, stage=Silent())
    count = len(epochs)
    with (tmp_path / "tune" / "journal.log").open("a") as file:
        file.write('{"op_code": 4, "wor')
    (tmp_path / "tune" / "journal.log.lock").symlink_to("nowhere")
    assert tune(work, stage=Silent()).trials == first.trials
    assert len(epochs) == count


def test_a_damaged_journal_is_named(tmp_path):
    work = work_in(tmp_path, trials=1, max_resource=1)
    tune(work, stage=Silent())
    journal = tmp_path / "tune" / "journal.log"
    journal.write_bytes(b"rubbish\n" + journal.read_bytes())
    with pytest.raises(StateFileError, match=r"journal\.log"):
        tune(work, stage=Silent())


def test_a_space_of_ones_own(tmp_path):
    def space(trial):
        return {**paper_space(TuneSettings())(trial), "lr": 0.01, "extra": trial.suggest_int("extra", 1, 3)}

    outcome = tune(work_in(tmp_path / "a", trials=2, max_resource=1), stage=Silent(), space=space)
    assert outcome.hyperparameters["lr"] == 0.01
    assert outcome.hyperparameters["extra"] in (1, 2, 3)
    with pytest.raises(InvalidArgumentError, match="space gives no momentum, weight_decay, seed"):
        tune(work_in(tmp_path / "b", trials=1), stage=Silent(), space=lambda trial: {"lr": 0.1})


def test_the_first_trial_takes_the_values_it_is_given_where_the_space_has_them(tmp_path, scripted):
    scripted(lambda trial, epoch: 0.0)
    first = {"lr": 0.05, "momentum": 2.0, "dropout": 0.1, "seed": "none", "unknown": 1}
    drawn = tune(work_in(tmp_path / "a", trials=2, max_resource=1), stage=Silent())
    given = tune(work_in(tmp_path / "b", trials=2, max_resource=1, first=first), stage=Silent())
    before, after = (outcome.trials[0].hyperparameters for outcome in (drawn, given))
    assert after == {**before, "lr": 0.05, "dropout": 0.1}
    assert given.trials[1] == drawn.trials[1]


@pytest.mark.parametrize("first", ["own", "searched"])
def test_the_first_trial_takes_the_kernels_it_is_given_where_trials_choose(tmp_path, scripted, first):
    scripted(lambda trial, epoch: 0.0)
    settings = {"trials": 1, "max_resource": 1, "first": {"kernels": first}}
    chosen = tune(work_in(tmp_path / "a", **settings), stage=Silent(), chooses_kernels=True)
    assert chosen.hyperparameters["kernels"] == first
    fixed = tune(work_in(tmp_path / "b", **settings), stage=Silent())
    assert "kernels" not in fixed.hyperparameters


@pytest.mark.parametrize(
    ("schedule", "shares"), [("constant", [1.0] * 4), ("cosine", [0.96194, 0.69134, 0.30866, 0.03806])]
)
def test_rates_of_a_trial_follow_the_schedule_over_all_its_epochs(tmp_path, monkeypatch, schedule, shares):
    rates = []

    def train_epoch(network, optimizer, *args, **kwargs):
        rates.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr("dasha.search.course.train_epoch", train_epoch)
    work = work_in(tmp_path, trials=1, max_resource=4, schedule=schedule)
    outcome = tune(work, stage=Silent())
    assert rates == pytest.approx([share * outcome.hyperparameters["lr"] for share in shares], rel=1e-3)


def test_initial_weights_depend_on_the_seed_alone():
    one, same, other = (initial_network(make_network, {"seed": seed}, seed=1) for seed in (4, 4, 5))
    assert torch.equal(one.first.weight, same.first.weight)
    assert not torch.equal(one.first.weight, other.first.weight)


def test_optunas_settings_are_left_alone(tmp_path, scripted):
    scripted(lambda trial, epoch: 0.0)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        tune(work_in(tmp_path, trials=1, max_resource=1), stage=Silent())
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)


def test_every_trial_sees_what_its_own_network_can_afford(tmp_path, monkeypatch):
    seen = {}

    def train_epoch(network, optimizer, split, learning, *, scaler):
        width = network.second.in_channels // 4
        seen[width] = sum(len(inputs) for inputs, _ in split.batches(1, shuffle=True))

    def make(hyperparameters):
        return Tiny(in_channels=1, num_outputs=2, width=1 + hyperparameters["seed"])

    monkeypatch.setattr("dasha.search.course.train_epoch", train_epoch)
    shape = TRAIN[0].shape[1:]
    costs = {width: 3 * operations_of(make({"seed": width - 1}), shape) * len(TRAIN[0]) for width in (1, 2)}
    settings = {"trials": 6, "max_resource": 1, "seeds": 2}
    work = work_in(tmp_path, max_cost=6 * costs[2] / 2 / 1e12, **settings)
    tune(replace(work, make_network=make), stage=Silent())
    half = len(TRAIN[0]) / 2
    assert seen == {1: min(len(TRAIN[0]), math.ceil(half * costs[2] / costs[1])), 2: math.ceil(half)}
