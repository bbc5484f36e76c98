"""Means over seeds, ranks, the comparison of kernels, folders of data, and what a search is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dasha.bench.beside import mean_place, place, published_table, sources_of
from dasha.bench.files import find_folder, folders_of
from dasha.bench.kernels import Choice, cluster, comparable, kernel_distance
from dasha.bench.search import BenchData, Effort, metrics_of, record_of, scored
from dasha.bench.summary import Summary, show_summaries, size_text, summarise, summary_table
from dasha.data.turns import FlipsAndTurns
from dasha.errors import InvalidArgumentError, InvalidTableError
from dasha.published import PublishedScore
from dasha.report.style import to_svg
from dasha.report.task_kernels import task_kernel_figure
from dasha.tasks import TaskSpec


def record(seed, score, method="a", **more):
    base = {"dataset": "d", "method": method, "seed": seed, "metric": "mcc", "score": score}
    return {**base, "validation": score, "seconds": 2.0 + seed, "parameters": 100, **more}


def test_means_and_intervals_over_seeds():
    one, other = summarise([record(0, 0.5), record(0, 0.9, "b", parameters=None), record(1, 0.7), record(2, 0.6)])
    assert (one.mean, one.seeds, one.seconds, one.parameters) == (pytest.approx(0.6), 3, pytest.approx(3), 100)
    # t(0.975, 2) = 4.3027, standard deviation 0.1
    assert one.interval == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)
    assert (other.interval, other.parameters) == (None, None)
    assert other.text == "0.9000"
    rows = summary_table([one, other]).rows
    assert [row[1].best for row in rows] == [False, True]
    assert [size_text(count) for count in (None, 950, 12_345, 2_500_000)] == ["–", "950", "12.3 k", "2.50 M"]


def test_single_networks_are_shown_beside_their_mean(capsys):
    several = [record(0, 0.5, members=[0.4, 0.2]), record(1, 0.6, members=[0.3, 0.5])]
    one, other = summarise([*several, record(0, 0.9, "b")])
    assert (one.mean, one.single, other.single) == (pytest.approx(0.55), pytest.approx(0.35), None)
    table = summary_table([one, other])
    assert table.columns[-1] == "Single networks"
    assert [row[-1].text for row in table.rows] == ["0.3500", "–"]
    show_summaries("All", [one, other])
    assert "0.3500" in capsys.readouterr().out
    assert "Single networks" not in summary_table([other]).columns


def figure(value, metric="mcc", source="a paper (second-hand copy)"):
    return PublishedScore("gue", "tf_0", f"model {value}", metric, value, source)


def test_places_among_published_figures():
    ours = Summary("d", "a", "mcc", 0.7001, None, 0.7, 1, None, 1.0)
    figures = [figure(0.8), figure(0.7), figure(0.6), figure(0.99, "f1")]
    assert str(place(ours, figures)) == "2.5 of 4"
    assert place(ours, figures[3:]) is None
    assert mean_place([place(ours, figures), None, place(ours, figures[:1])]) == (2.25, 3.0, 2)
    assert mean_place([None]) is None
    table = published_table(figures[:1], sources_of(figures))
    assert [cell.text for cell in table.rows[0]][3:] == ["0.8*", "published\u00a0[1]"]
    assert "second-hand" in table.caption


def test_distance_of_kernels():
    assert kernel_distance({"a": (3, 1), "b": (5, 4)}, {"a": (3, 1), "b": (5, 4)}) == 0
    assert kernel_distance({"a": (3, 1), "b": (5, 4)}, {"a": (6, 2), "b": (5, 1)}) == pytest.approx((2 + 2) / 2)


def test_runs_on_the_same_data_that_choose_alike_are_found():
    alike = [
        Choice(name, seed, {"a": (size, 1), "b": (size, 2)})
        for name, size in (("x", 3), ("y", 11))
        for seed in range(4)
    ]
    found = cluster(alike)
    assert (found.within, found.runs, found.tasks) == (0, 8, 2)
    assert found.between == pytest.approx(np.log2(11 / 3))
    # 2 of the 16 ways to deal two runs of each of four seeds to two tasks are as clear
    assert found.p_value == pytest.approx(2 / 16, abs=0.01)
    rng = np.random.default_rng(0)
    noise = [Choice(name, seed, {"a": (int(rng.choice([3, 5, 7])), 1)}) for name in "xyz" for seed in range(4)]
    assert cluster(noise).p_value > 0.05
    assert cluster(noise).p_value == cluster(noise).p_value


def test_what_the_seed_alone_decides_is_not_taken_for_the_data():
    found = cluster([Choice(name, seed, {"a": (3 + 2 * seed, 1)}) for name in "xyz" for seed in range(3)])
    assert found.within == pytest.approx(found.between)
    assert found.p_value == 1


@pytest.mark.parametrize("runs", ["", "x0", "x0 x1", "x0 y0", "x0 y1"])
def test_too_few_runs_are_not_compared(runs):
    assert cluster([Choice(run[0], int(run[1]), {"a": (3, 1)}) for run in runs.split()]) is None


def test_only_networks_of_the_same_layers_are_compared():
    records = [
        {"dataset": "x", "seed": 0, "searched": {"a": [3, 1]}},
        {"dataset": "x", "seed": 1, "searched": {"other": [3, 1]}},
        {"dataset": "y", "seed": 0, "searched": {"a": [5, 1]}},
        {"dataset": "z", "seed": 0, "searched": {}},
    ]
    assert [one.dataset for one in comparable(records)] == ["x", "y"]
    assert comparable(records[3:]) == []


def test_the_figure_of_kernels_has_every_task():
    runs = [{"first": (3, 1), "second": (5, 4)}, {"first": (7, 1), "second": (3, 1)}]
    svg = to_svg(task_kernel_figure({"task $1": runs, "two": runs[:1], "three": runs, "four": runs}))
    assert all(text in svg for text in ("task $1", "two", "four", "first", "second", "dilation"))


def test_folders(tmp_path):
    (tmp_path / "deep" / "gue_a").mkdir(parents=True)
    (tmp_path / "gue_file").write_text("")
    assert find_folder("gue_a", tmp_path) == tmp_path / "deep" / "gue_a"
    assert folders_of(tmp_path, "gue_*") == ["gue_a"]
    with pytest.raises(InvalidTableError, match="no folder gue_b under"):
        find_folder("gue_b", tmp_path)
    with pytest.raises(InvalidTableError, match="which does not exist"):
        folders_of(tmp_path / "nothing", "gue_*")
    with pytest.raises(InvalidTableError, match="DASHA_DATA is not set"):
        find_folder("gue_a", None)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"budget": "huge"}, "budget='huge' must be one of"),
        ({"overrides": {"tune.trails": 3}}, "budget has no value 'tune.trails'"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
        ({"backbone": "resnet"}, "backbone='resnet' must be one of auto, "),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(options, match):
    with pytest.raises(InvalidArgumentError, match=match):
        Effort(**options)


def images(count=4):
    return torch.arange(count * 3 * 4 * 4).reshape(count, 3, 4, 4), torch.arange(count) % 2


def test_scores_are_those_of_what_predicts():
    task = TaskSpec("multiclass", 3, 2)
    inputs, targets = images()

    class Parity(nn.Module):
        def forward(self, x):
            first = x[:, 0, 0, 0] / 48 % 2
            return torch.stack([1 - first, first], 1)

    class Wrong(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            return -self.network(x)

    data = BenchData("x", task, (inputs, targets), (inputs, targets), (inputs, targets))
    assert scored(data, Parity(), "cpu")["score"] == 1
    turned = BenchData("x", task, (inputs, targets), (inputs, targets), (inputs, targets), predictor=Wrong)
    assert scored(turned, Parity(), "cpu")["score"] == 0
    assert data.about != turned.about
    changed = BenchData("x", task, (inputs + 1, targets), (inputs, targets), (inputs, targets))
    assert data.about["parts"]["train"] != changed.about["parts"]["train"]
    nothing = metrics_of(task, torch.full((4, 2), torch.nan), targets)
    with pytest.raises(InvalidArgumentError, match="accuracy on x is not finite"):
        record_of(data, nothing, nothing)


def test_flips_and_turns_keep_every_pixel_and_move_targets_along():
    inputs, _ = images(200)
    masks = inputs[:, 0]
    torch.manual_seed(0)
    moved, targets = FlipsAndTurns(is_dense=True)(inputs, masks)
    assert torch.equal(moved[:, 0], targets)
    group = [torch.rot90(part, turn, (-2, -1)) for part in (inputs, inputs.flip(-1)) for turn in range(4)]
    chosen = torch.stack([(moved == one).flatten(1).all(1) for one in group])  # (8, N)
    assert (chosen.sum(0) == 1).all()
    assert (chosen.sum(1) > 10).all()
    labels = torch.arange(200)
    assert torch.equal(FlipsAndTurns()(inputs, labels)[1], labels)
    wide = inputs[..., :3]
    assert FlipsAndTurns()(wide, labels)[0].shape == wide.shape
