"""The page about a run, from made-up files: whole, without a stage, and of every kind of task."""

import json
from dataclasses import asdict

import pytest

from dasha import TaskSpec
from dasha.errors import StateFileError
from dasha.report.run import run_page, write_report
from dasha.report.run_outcomes import count_text
from dasha.report.run_tables import python_call
from dasha.search.config import RunConfig, as_stored, config_dict


def config(kind="multiclass", metric="accuracy", outputs=2, search="on", **more):
    task = {"kind": kind, "in_channels": 1, "num_outputs": outputs, "loss": "", "metric": metric, "class_names": []}
    task |= more
    split = {"count": 1000, "shape": [1, 8, 8], "fingerprint": "abc"}
    tune = {"min_resource": 1, "max_resource": 4, "reduction_factor": 2, "trials": 3}
    return {
        "task": task,
        "settings": {"backbone": "net", "search": search, "overrides": {}, "seed": 0, "is_ensemble": False},
        "budget": {"tune": tune, "search": {"epochs": 2}, "width": 1},
        "data": {"train": split, "validation": split},
        "versions": {"torch": "2"},
    }


ARCHITECTURE = {"stem": [3, 1], "a$b": [5, 7]}
SEARCH = {
    "architecture": ARCHITECTURE,
    "coefficients": [{name: [[0.3, 0.2], [0.3, 0.2]] for name in ARCHITECTURE}] * 2,
    "losses": [1.0, 0.5],
    "is_settled": True,
    "slowdowns": 2,
    "seconds": 1.0,
    "kernel_sizes": [3, 5],
    "dilations": [1, 7],
}


def tune(sign=1.0):
    def trial(number, state, *scores):
        values = {"lr": 0.1, "seed": number}
        scores = [score if score is None else sign * score for score in scores]
        return {"number": number, "hyperparameters": values, "scores": scores, "state": state, "reason": ""}

    trials = [trial(0, "complete", 0.5, 0.6, 0.9, 0.9), trial(1, "pruned", 0.1), trial(2, "diverged", None)]
    return {
        "hyperparameters": {"lr": 0.1, "seed": 0},
        "score": sign * 0.9,
        "number": 0,
        "trials": trials,
        "seconds": 2.0,
    }


def result(metric="accuracy", search=True):
    curve = {"losses": [2.0, 0.1, None], "validation": [{metric: 0.5}, {metric: 0.8}, {metric: None}], "seconds": 3.0}
    return {
        "backbone": "net",
        "architecture": ARCHITECTURE if search else {},
        "tuning_score": 0.9,
        "parameters": 1234,
        "flops": 0,
        "seconds": {"search": 1.0, "tune": 2.0, "retrain": 3.0},
        "curves": [curve, curve],
    }


def evaluation(metric="accuracy", **others):
    return {"metrics": {"loss": 0.1, metric: 0.8}, "per_seed": [], "interval": {}, "count": 9, "fingerprint": "def"} | {
        "confusion": [],
        "scatter": [],
        **others,
    }


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("is_ensemble", "text", "row"),
    [
        (False, "Mean over 2 final trainings", ["0.8", "± 0.02"]),
        (True, "The ensemble of 2 final trainings", ["0.8", "0.7 ± 0.02"]),
    ],
)
def test_the_page_says_what_the_test_values_are_of(folder, is_ensemble, text, row):
    settings = config()
    settings["settings"]["is_ensemble"] = is_ensemble
    per_seed = [{"accuracy": 0.65, "loss": None}, {"accuracy": 0.75, "loss": 0.2}]
    spread = evaluation(interval={"accuracy": 0.02}, per_seed=per_seed)
    path = folder(config=settings, search=SEARCH, tune=tune(), result=result(), evaluation=spread)
    table = run_page(path).sections[0].tables[0]
    assert text in table.caption
    assert ["mean of single networks" in name for name in table.columns] == [False, False, is_ensemble]
    assert [cell.text for cell in table.rows[0][1:]] == row
    assert [cell.text for cell in table.rows[1][1:]] == ["0.1", "– ± –" if is_ensemble else "± –"]
    assert text in write_report(path).read_text(encoding="utf-8")


def titles(page):
    return [section.title for section in page.sections]


def test_a_whole_run(folder, page_tags):
    source = {"path": "/data.npz", "rule": "by name", "command": "dasha fit /data.npz"}
    confusion = [[5, 1], [0, 3]]
    path = folder(
        config=config(),
        source=source,
        search=SEARCH,
        tune=tune(),
        result=result(),
        evaluation=evaluation(confusion=confusion, interval={"accuracy": 0.02}),
    )
    target = write_report(path)
    assert target == path / "report.html"
    html = target.read_text(encoding="utf-8")
    tags = page_tags(html)
    assert (tags.count("svg"), tags.count("table")) == (5, 3)
    assert titles(run_page(path)) == [
        "Test data",
        "Kernels",
        "Kernel search",
        "Hyperparameters",
        "Final training",
        "Cost",
    ]
    for text in (
        "Multiclass, 1,000 training samples: net with searched kernels, accuracy 0.9 on validation while it was tuned, "
        "0.8 on test.",
        "± 0.02",
        "diverged 2 times",
        "of which 1 ran to the end, 1 were stopped at a rung and 1 diverged",
        "1,234 parameters, operations unknown",
        "dasha fit /data.npz",
        "fingerprint abc",
        "a$b",
    ):
        assert text in html, text
    assert not list(path.glob(".report*"))


@pytest.mark.parametrize(
    ("metric", "scores", "wide"),
    [
        ("accuracy", {"wide": 0.4, "lost": None, "net": 0.8, "deep": 0.9}, "0.4"),
        ("mae", {"wide": -0.4, "lost": None, "net": -0.3, "deep": -0.2}, "0.4"),
    ],
)
def test_the_choice_of_the_backbone_is_shown(folder, metric, scores, wide):
    settings = config("regression" if metric == "mae" else "multiclass", metric)
    path = folder(config=settings, backbone={"chosen": "net", "scores": scores, "seconds": 1.0})
    (section,) = [one for one in run_page(path).sections if one.title == "Backbone"]
    (table,) = section.tables
    shown = [[cell.text for cell in row] for row in table.rows]
    assert [row[0] for row in shown] == ["deep", "net", "wide", "lost"]
    assert shown[1][2] == "chosen"
    assert shown[2][1] == wide
    assert shown[3][1:] == ["–", "diverged"]
    assert table.marked == [1]
    assert "deep" in write_report(path).read_text(encoding="utf-8")


def test_without_search_and_evaluation(folder):
    page = run_page(folder(config=config(search="off"), tune=tune(), result=result(search=False)))
    assert titles(page) == ["Hyperparameters", "Final training", "Cost"]
    assert "with its own kernels" in page.lead


def test_random_kernels_have_no_course(folder):
    drawn = {name: SEARCH[name] for name in ("architecture", "seconds", "kernel_sizes", "dilations")}
    page = run_page(folder(config=config(search="random"), search=drawn))
    assert titles(page) == ["Kernels"]
    assert page.lead == "Not finished: multiclass, 1,000 training samples; search done."


def test_a_search_that_was_not_trained_yet(folder):
    plan = {"plan": {"backbone": "net"}, "score": 0.9}
    path = folder(config=config(), search=SEARCH, tune=tune(), plan=plan)
    page = run_page(path)
    assert titles(page) == ["Kernels", "Kernel search", "Hyperparameters"]
    assert page.lead == (
        "Searched, not trained yet: multiclass, 1,000 training samples: net with searched kernels, accuracy 0.9 on "
        "validation while it was tuned."
    )
    (path / "log.jsonl").write_text('{"event": "retrain", "seed": 0, "epoch": 1, "loss": 1.0, "validation": {}}')
    assert run_page(path).lead == "Not finished: multiclass, 1,000 training samples; search, tune done."


def test_an_unfinished_run_shows_the_log(folder):
    path = folder(config=config(), search=SEARCH)
    epochs = [
        {"event": "retrain", "seed": 0, "epoch": n, "loss": 1 / n, "validation": {"accuracy": 0.5}} for n in (1, 2, 2)
    ]
    lines = [json.dumps(epoch) for epoch in epochs]
    (path / "log.jsonl").write_text("\n".join([*lines, '{"event": "ret']))
    assert titles(run_page(path)) == ["Kernels", "Kernel search", "Final training"]
    (path / "search.json").unlink()
    (path / "log.jsonl").unlink()
    assert run_page(path).lead.endswith("no stage has ended.")


def test_numbers_have_a_scatter_and_small_is_good(folder):
    pairs = [[0.0, 0.1], [1.0, 0.8], [2.0, None]]
    path = folder(
        config=config("regression", "mse", 1),
        tune=tune(-1.0),
        result={**result("mse"), "tuning_score": -0.9},
        evaluation=evaluation("mse", scatter=pairs),
    )
    page = run_page(path)
    assert "MSE 0.9 on validation" in page.lead
    assert [len(section.figures) for section in page.sections] == [1, 1, 1, 0]
    axes = page.sections[1].figures[0][0].axes[0]
    assert all(min(line.get_ydata()) > 0 for line in axes.get_lines() if len(line.get_ydata()) == 4)
    assert write_report(path, path / "other.html").exists()


def label(found, missed, wrong, ranked=0.5):
    return {"found": found, "missed": missed, "wrong": wrong, "average_precision": ranked}


LABELS = [
    label(8, 2, 0, 0.9),
    label(0, 0, 0, None),
    label(2, 4, 20_000, 0.25),
    label(0, 3, 0, 0.1),
    label(0, 0, 2, None),
]


def cells(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_labels_have_bars_and_a_table_the_worst_first(folder, page_tags):
    made = config("multilabel", "average_precision", 5, class_names=["hit", "void" * 20, "a$b", "lost", "<b>"])
    path = folder(config=made, evaluation=evaluation("average_precision", labels=LABELS))
    section = run_page(path).sections[0]
    assert cells(section.tables[1]) == [
        ["lost", "3", "0", "3", "0", "–", "0.000", "0.000", "0.100"],
        ["<b>", "0", "0", "0", "2", "0.000", "–", "0.000", "–"],
        ["a$b", "6", "2", "4", "20,000", "0.000", "0.333", "0.000", "0.250"],
        ["hit", "10", "8", "2", "0", "1.000", "0.800", "0.889", "0.900"],
        ["void" * 20, "0", "0", "0", "0", "–", "–", "–", "–"],
    ]
    (figure, _), *others = section.figures
    assert not others
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["lost", "<b>", r"a\$b", "hit", "void" * 9 + "voi…"]
    texts = [text.get_text() for text in axes.texts]
    assert "20k" in texts
    assert "neither there nor said" in texts
    widths = {}
    for bar in axes.patches:
        widths[round(bar.get_y() + 0.36)] = widths.get(round(bar.get_y() + 0.36), 0) + bar.get_width()
    assert widths == pytest.approx({0: 1, 1: 1, 2: 1, 3: 1, 4: 0})
    assert "a probability of one half" in section.text[0]
    html = write_report(path).read_text(encoding="utf-8")
    assert "<b>" not in html
    assert page_tags(html).count("svg") == 1


def test_of_many_labels_the_worst_are_listed(folder):
    labels = [label(number, 100 - number, 0) for number in range(43)]
    path = folder(config=config("multilabel", "f1", 43), evaluation=evaluation("f1", labels=labels[::-1]))
    section = run_page(path).sections[0]
    assert not section.figures
    assert [row[0] for row in cells(section.tables[1])] == [str(42 - number) for number in range(10)]
    assert section.tables[1].caption == "The worst by F1; 33 more labels are not shown."


def test_labels_of_an_earlier_version_are_left_out(folder):
    section = run_page(folder(config=config("multilabel", "f1", 2), evaluation=evaluation("f1"))).sections[0]
    assert (len(section.tables), list(section.figures), list(section.text)) == (1, [], [])


def test_positions_are_called_so_and_large_counts_are_rounded(folder):
    made = config("segmentation", "jaccard", 2, ignore_index=255)
    counts = [[123_456_789, 9_999], [0, 999_999]]
    section = run_page(folder(config=made, evaluation=evaluation("jaccard", confusion=counts))).sections[0]
    assert section.text[0].startswith("Counts of positions, true classes by predicted ones;")
    assert section.text[0].endswith("Positions with the label 255 do not count.")
    assert [text.get_text() for text in section.figures[0][0].axes[0].texts] == ["123M", "9999", "1M"]
    many = config("segmentation", "jaccard", 40)
    section = run_page(folder(config=many, evaluation=evaluation("jaccard", confusion=[[1] * 40] * 40))).sections[0]
    assert section.tables[1].columns == ["true", "predicted", "positions"]
    dense = config("dense_regression", "mse", 3)
    section = run_page(folder(config=dense, evaluation=evaluation("mse", scatter=[[0.0, 0.1]]))).sections[0]
    assert "1 of them from all positions, all 3 targets together; on the line" in section.text[0]


@pytest.mark.parametrize("count", [0, 7, 9_999, 10_000, 99_950, 999_499, 999_500, 10**9, 10**13, 2**63 - 1])
def test_rounded_counts_are_short_and_close(count):
    text = count_text(count)
    assert len(text) <= 5
    number, unit = (text, " ") if text.isdigit() else (text[:-1], text[-1])
    assert float(number) * 1000 ** " kMGTPE".index(unit) == pytest.approx(count, rel=0.005)


@pytest.mark.parametrize(
    "shown",
    [
        {"confusion": [[5, 1], [0, 3]]},
        {"confusion": [[1] * 40] * 40},
        {"scatter": [[0.0, 0.1]]},
        {"labels": [label(1, 0, 0)] * 2},
        {"labels": [label(1, 0, 0)] * 40},
    ],
)
@pytest.mark.parametrize(("is_ensemble", "count"), [(False, 2), (True, 2), (False, 1)])
def test_what_is_of_the_first_network_alone_says_so(folder, shown, is_ensemble, count):
    made = config(outputs=len(shown.get("confusion") or shown.get("labels") or [0, 0]))
    made["settings"]["is_ensemble"] = is_ensemble
    path = folder(config=made, evaluation=evaluation(per_seed=[{}] * count, **shown))
    text = run_page(path).sections[0].text
    assert ("those of the first network" in " ".join(text)) == (count > 1 and not is_ensemble)


def test_the_call_in_python_has_what_differs_from_the_defaults():
    task = TaskSpec("segmentation", 3, 4, ignore_index=0)
    made = {"task": asdict(task), "settings": config_dict(RunConfig(normalize=False, seed=2)), "own": {"augment": None}}
    assert python_call(json.loads(json.dumps(made))) == (
        "Dasha(TaskSpec('segmentation', 3, 4, ignore_index=0), seed=2, normalize=False).fit(train, validation)"
    )
    smoothed = TaskSpec("binary", 1, 1, label_smoothing=0.0, loss="focal", class_weights=(1, 2))
    assert python_call(as_stored({"task": asdict(smoothed), "settings": config_dict(RunConfig())})) == (
        "Dasha(TaskSpec('binary', 1, 1, loss='focal', class_weights=[1, 2], label_smoothing=0.0))"
        ".fit(train, validation)"
    )


def test_what_was_the_users_own_is_shown(folder):
    own = {"backbone": {"layers": "12ab", "weights": "34cd"}, "augment": "mine.flip", "space": None}
    facts = run_page(folder(config={**config(), "own": own})).facts
    assert facts["Your own"] == "backbone layers 12ab; weights 34cd; augment mine.flip"
    assert "backbone=backbone, search='on', augment=augment)" in facts["In Python"]
    assert "Your own" not in run_page(folder(config={**config(), "own": dict.fromkeys(own)})).facts


def test_many_classes_are_listed_by_confusion(folder):
    counts = [[3 * (row == column) + 2 * (row == 0 and column == 7) for column in range(40)] for row in range(40)]
    page = run_page(folder(config=config(outputs=40), evaluation=evaluation(confusion=counts)))
    pairs = page.sections[0].tables[1]
    assert [[cell.text for cell in row] for row in pairs.rows] == [["0", "7", "2"]]


def test_no_run_and_a_damaged_one(tmp_path, folder):
    with pytest.raises(StateFileError, match="holds no run"):
        run_page(tmp_path / "none")
    path = folder(config=config())
    (path / "tune.json").write_text('{"score": ')
    with pytest.raises(StateFileError, match=r"cannot use \S+tune.json: .*; delete it to repeat that stage, or begin"):
        run_page(path)
    (path / "config.json").write_text('{"task": ')
    with pytest.raises(StateFileError, match=r"cannot use \S+config.json: .*; put back a copy of it, or begin the run"):
        run_page(path)


@pytest.mark.parametrize("name", ["config", "backbone", "search", "tune", "result", "evaluation"])
@pytest.mark.parametrize("content", [{}, {"trials": 3, "architecture": 3, "metrics": 3, "task": 3}])
def test_files_that_hold_something_else_are_named(folder, name, content):
    whole = {"config": config(), "search": SEARCH, "tune": tune(), "result": result(), "evaluation": evaluation()}
    path = folder(**{**whole, name: content})
    with pytest.raises(StateFileError, match=rf"cannot use \S+{name}\.json: .* in another folder"):
        run_page(path)
