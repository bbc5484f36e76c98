"""``dasha fit``, ``search``, ``resume``, ``report`` and ``demo images`` as a user runs them."""

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dasha
from dasha import Dasha, TaskSpec, manager
from dasha.cli import main
from dasha.cli._fit_options import FitOptions, parse_changes
from dasha.cli._fit_show import describe_data
from dasha.cli._task import task_of
from dasha.data.sources import SourceData, read_data
from dasha.errors import InvalidArgumentError, StateFileError
from dasha.types import SupervisedTask

TINY = [
    word
    for change in (
        "tune.trials=2",
        "tune.max_resource=1",
        "retrain.epochs=1",
        "search.epochs=1",
        "search.kernel_sizes=3,5",
        "tune.first={'kernels': 'searched'}",
    )
    for word in ("--set", change)
]
OPTIONS = ["--budget", "smoke", "--backbone", "wide_resnet_1d", *TINY]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 1, 10)).astype(np.float32), np.arange(60) % 2
    path = tmp_path_factory.mktemp("data") / "data.npz"
    parts = {"train": slice(30), "val": slice(30, 45), "test": slice(45, None)}
    np.savez(path, **{f"{k}_{name}": v[part] for name, part in parts.items() for k, v in (("x", x), ("y", y))})
    return path


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run that is finished; copy it before anything is changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["fit", str(data), "--out", str(out), *OPTIONS]) == 0
    return out


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_fit_leaves_everything_behind(finished, data, page_tags):
    source = json.loads((finished / "source.json").read_text())
    assert source["path"] == str(data)
    assert source["command"].startswith(f"dasha fit {data} --task multiclass --metric accuracy --budget smoke")
    assert json.loads((finished / "evaluation.json").read_text())["count"] == 15
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page_tags(page).count("svg") == 5
    assert "--set search.kernel_sizes=3,5" in page


def test_a_run_that_was_stopped_goes_on(run, capsys):
    for name in ("result.json", "evaluation.json", "report.html"):
        (run / name).unlink()
    assert main(["report", str(run)]) == 0
    assert "Not finished" in (run / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["resume", str(run), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["test_samples"] == 15
    assert set(outcome["test"]) >= {"accuracy", "auroc"}
    assert "Not finished" not in (run / "report.html").read_text(encoding="utf-8")


def test_a_finished_run_needs_no_data(run, capsys):
    source = json.loads((run / "source.json").read_text())
    (run / "source.json").write_text(json.dumps(source | {"path": "/nowhere.npz"}))
    assert main(["resume", str(run)]) == 0
    assert "balanced accuracy" in capsys.readouterr().out
    (run / "result.json").unlink()
    assert main(["resume", str(run)]) == 2
    assert "/nowhere.npz does not exist" in capsys.readouterr().err
    (run / "source.json").unlink()
    assert main(["resume", str(run)]) == 2
    assert "was not begun by 'dasha fit'" in capsys.readouterr().err


def test_a_finished_run_without_test_data_needs_no_data(run, capsys):
    (run / "evaluation.json").unlink()
    source = json.loads((run / "source.json").read_text())
    assert source["has_test"]
    (run / "source.json").write_text(json.dumps(source | {"path": "/nowhere.npz"}))
    assert main(["resume", str(run)]) == 2  # there is test data, and nothing was measured on it yet
    assert "/nowhere.npz does not exist" in capsys.readouterr().err
    (run / "source.json").write_text(json.dumps(source | {"path": "/nowhere.npz", "has_test": False}))
    assert main(["resume", str(run)]) == 0
    assert "there is no test data" in capsys.readouterr().err


def save_with(path, data, **others):
    """The same file with other arrays."""
    with np.load(data) as file:
        np.savez(path, **{**file, **others})
    return path


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"x_test": np.full((15, 1, 10), np.nan)}, "test has 150 values that are not finite"),
        ({"x_test": np.zeros((15, 2, 10))}, "test has inputs with 2 channels"),
        ({"x_test": np.zeros((15, 1, 10, 10))}, "test has inputs of shape (N, 1, 10, 10), but this network takes"),
        ({"y_test": np.linspace(0, 1, 15)}, "test has labels of type torch.float64, but classes are whole numbers"),
        ({"y_test": np.arange(15) % 3}, "test has labels [2], but num_outputs=2 allows 0 to 1"),
    ],
)
def test_test_data_that_does_not_fit_is_refused_before_anything_is_trained(
    data, tmp_path, capsys, monkeypatch, others, message
):
    monkeypatch.setattr("dasha.search.workflow.begun", refuse)
    wrong = save_with(tmp_path / "wrong.npz", data, **others)
    assert main(["fit", str(wrong), "--out", str(tmp_path / "run"), *OPTIONS]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("run/*.json"))


def test_labels_that_begin_at_1_are_told_how_to_begin(data, tmp_path, capsys):
    labels = {f"y_{name}": 1 + np.arange(count) % 3 for name, count in (("train", 30), ("val", 15), ("test", 15))}
    wrong = save_with(tmp_path / "wrong.npz", data, **labels)
    assert main(["fit", str(wrong), "--out", str(tmp_path / "run"), *OPTIONS]) == 2
    assert "labels begin at 0: subtract 1 if yours begin at 1" in capsys.readouterr().err


def test_a_loader_of_training_data_may_drop_the_rest():
    pairs = [(np.zeros((1, 4), np.float32), 0)] * 10
    loader = torch.utils.data.DataLoader(pairs, batch_size=4, shuffle=True, drop_last=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (line,) = describe_data(SourceData(loader, pairs[:3], None, "pairs", "drawn", spec=TaskSpec("binary", 1, 1)))
    assert line == "10 for training, 3 for validation samples of 1 channel × 4; drawn"


def test_a_folder_of_another_run_is_left_alone(run, data, tmp_path, capsys):
    other = shutil.copy(data, tmp_path / "other.npz")
    assert main(["fit", str(other), "--out", str(run), *OPTIONS]) == 2
    assert f"is another one, on {data}" in capsys.readouterr().err
    assert main(["fit", str(data), "--out", str(run), *OPTIONS, "--seed", "1"]) == 2
    assert "settings.seed: 0 there, 1 now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "tune.trials"], "--set is 'tune.trials', but must be like tune.trials=8"),
        (["--set", "tune.trial=8"], "did you mean 'trials'"),
        (["--task", "sorting"], "--task is 'sorting', but must be one of binary, multiclass"),
        (["--budget", "quik"], "budget='quik' must be one of"),
        (["--search", "maybe"], "search='maybe' must be one of 'auto', 'on', 'off', 'random'"),
        (["--loss", "mse"], "loss='mse' must be one of 'cross_entropy', 'focal'"),
        (["--class-weights", "1,x"], "--class-weights is '1,x', but must be balanced, or numbers such as 1,2.5"),
        (["--class-weights", "1,2,3"], "class_weights has 3 entries, but kind='multiclass' has 2"),
        (["--task", "regression", "--class-weights", "balanced"], "--class-weights are for classes or labels, not for"),
        (["--label-smoothing", "0.1", "--loss", "focal"], "label_smoothing=0.1 must be 0 with loss='focal'"),
        (["--ignore-index", "3"], "ignore_index=3 is for kind='segmentation' alone"),
        (["--n-seeds", "0"], "n_seeds=0 must be a whole number, at least 1"),
        (["--ensemble"], "is_ensemble=True needs n_seeds of at least 2"),
        (["--metric", "mse"], "metric='mse' must be one of"),
        (["--backbone", "wide_resnet_2d"], "is for 2-D inputs"),
    ],
)
def test_bad_options_leave_no_run(data, tmp_path, capsys, arguments, message):
    assert main(["fit", str(data), "--out", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("run/*.json"))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.linspace(0, 1, 30), "targets are float64 of shape (30,), which could be several things; say what they are"),
        (np.arange(30), "30 different whole numbers from 0 to 29, which may be classes or counts"),
        (np.zeros((30, 3), int), "which could be several things"),
    ],
)
def test_tasks_that_are_not_clear_are_asked_for(tmp_path, capsys, targets, message):
    x = np.zeros((30, 1, 8), np.float32)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=targets, x_val=x, y_val=targets)
    assert main(["fit", str(tmp_path / "a.npz"), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_a_run(tmp_path, capsys):
    for command in ("resume", "report"):
        assert main([command, str(tmp_path / "none")]) == 2
        assert "holds no run" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def finished_search(data, tmp_path_factory):
    """A search that is finished; copy it before anything is changed."""
    out = tmp_path_factory.mktemp("searches") / "run"
    assert main(["search", str(data), "--out", str(out), *OPTIONS]) == 0
    return out


@pytest.fixture
def searched(finished_search, tmp_path):
    return shutil.copytree(finished_search, tmp_path / "searched")


def refuse(*arguments, **options):
    raise AssertionError("trained")


def source_of(run):
    return json.loads((run / "source.json").read_text())


def test_a_finished_search_shows_what_it_found_and_how_to_go_on(searched, data, capsys, monkeypatch):
    assert "Searched, not trained yet" in (searched / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr("dasha.search.workflow.begun", refuse)
    assert main(["resume", str(searched), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["goal"], outcome["backbone"], outcome["metric"]) == ("search", "wide_resnet_1d", "accuracy")
    assert all(size in (3, 5) for size, _ in outcome["architecture"].values())
    assert outcome["fit"] == source_of(searched)["command"].replace("dasha search", "dasha fit")
    assert main(["resume", str(searched)]) == 0
    shown = capsys.readouterr()
    for text in ("wide_resnet_1d, kernels", "blocks.0.conv1", "weight decay", "search: accuracy"):
        assert text in shown.out
    assert f"to train it: dasha fit {data} --task multiclass" in shown.err
    assert not (searched / "result.json").exists()


def test_fit_goes_on_from_a_search_and_may_decide_on_the_final_training(searched, data, capsys, monkeypatch):
    later = shutil.copy(data, searched.parent / "later.npz")
    for stage in ("kernels", "course"):
        monkeypatch.setattr(f"dasha.search.{stage}.train_epoch", refuse)
    final = ["--n-seeds", "2", "--ensemble", "--include-validation", "--test", str(later)]
    assert main(["fit", str(data), "--out", str(searched), *OPTIONS, *final]) == 0
    settings = json.loads((searched / "config.json").read_text())["settings"]
    assert (settings["n_seeds"], settings["is_ensemble"], settings["include_validation"]) == (2, True, True)
    source = source_of(searched)
    assert (source["goal"], source["test_path"]) == ("fit", str(later))
    assert " --n-seeds 2 --ensemble --include-validation --test " in source["command"]
    assert len(json.loads((searched / "evaluation.json").read_text())["per_seed"]) == 2
    # What was trained stays a run to be trained.
    capsys.readouterr()
    assert main(["search", str(data), "--out", str(searched), *OPTIONS, *final]) == 0
    assert "to train it" not in capsys.readouterr().err
    assert source_of(searched) == source


def test_a_search_that_was_stopped_ends_with_the_search(data, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("dasha.search.course.train_epoch", interrupt)
        assert main(["search", str(data), "--out", str(out), *OPTIONS]) == 130
    assert not (out / "plan.json").exists()
    with monkeypatch.context() as patched:
        patched.setattr("dasha.search.retrain.train_epoch", refuse)
        assert main(["resume", str(out)]) == 0
    assert (out / "plan.json").exists()
    assert not (out / "retrain").exists()
    # In Python the data is read again, too, and the run ends with the network.
    assert Dasha.resume(out, is_shown=False).predict(np.zeros((2, 1, 10), np.float32)).shape == (2, 2)


def test_what_is_refused_changes_nothing_of_a_search(searched, data):
    before = source_of(searched)
    assert main(["fit", str(data), "--out", str(searched), *OPTIONS, "--seed", "1"]) == 2
    assert source_of(searched) == before


def test_resume_in_python_says_what_it_misses(run):
    (run / "result.json").unlink()
    source = source_of(run)
    (run / "source.json").write_text(json.dumps(source | {"path": "/nowhere.npz"}))
    with pytest.raises(InvalidArgumentError, match=r"/nowhere\.npz does not exist"):
        Dasha.resume(run)
    (run / "source.json").write_text("{}")
    with pytest.raises(StateFileError, match=r"source\.json: KeyError"):
        Dasha.resume(run)
    (run / "source.json").unlink()
    with pytest.raises(InvalidArgumentError, match="is not finished; pass its train and validation data"):
        Dasha.resume(run)


@pytest.fixture
def with_task(monkeypatch, plugin_of):
    """Register the task ``small`` of pairs with two labels."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 1, 10)).astype(np.float32), rng.integers(0, 2, (60, 2))
    pairs = list(zip(x, y, strict=True))
    spec = TaskSpec("multilabel", 1, 2, metric="auroc", class_names=("one", "two"))
    task = SupervisedTask(spec, pairs[:30], pairs[30:45], pairs[45:], "Noise.", "drawn")
    made = dasha.PluginManager(found=[]).load()
    offer = dasha.hookimpl(lambda register: register("small", lambda: task))
    made.register(plugin_of(register_tasks=offer), name="test")
    monkeypatch.setattr(manager, "_default", made)


@pytest.mark.usefixtures("with_task")
def test_a_registered_task_is_fitted_and_read_again(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "small", "--out", "run", *OPTIONS, "--metric", "f1", "--class-weights", "balanced"]) == 0
    shown = capsys.readouterr()
    assert "30 for training, 15 for validation, 15 for test samples of 1 channel × 10; drawn" in shown.err
    task = json.loads((tmp_path / "run" / "config.json").read_text())["task"]
    assert (task["kind"], task["metric"], task["class_names"]) == ("multilabel", "f1", ["one", "two"])
    assert sum(1 / weight for weight in task["class_weights"]) == pytest.approx(2)
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "small").mkdir()  # a folder of that name has come since
    assert main(["resume", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_samples"] == 15
    assert main(["fit", "small", "--out", "other", "--task", "binary"]) == 2
    assert "has no folders with" in capsys.readouterr().err
    (tmp_path / "small").rmdir()
    assert main(["fit", "small", "--out", "other", "--task", "binary"]) == 2
    assert "is a registered task of kind 'multilabel'; leave --task out" in capsys.readouterr().err
    assert main(["fit", "smal", "--out", "other"]) == 2
    assert "did you mean 'small'? tasks: 'digits', 'small'" in capsys.readouterr().err


def told(data, *options):
    """The task that options make of data."""
    table = FitOptions(data=str(data), out=Path("out"), **dict(options))
    return task_of(read_data(str(data)), table)


def test_options_of_the_loss(data, tmp_path):
    plain = TaskSpec("multiclass", 1, 2)
    weighed = told(data, ("class_weights", "1,2.5"), ("label_smoothing", 0.1))
    assert weighed == replace(plain, class_weights=(1.0, 2.5), label_smoothing=0.1)
    focal = told(data, ("loss", "focal"), ("class_weights", "balanced"))
    assert focal == replace(plain, loss="focal", class_weights=(1.0, 1.0))
    masks = np.tile(np.array([0, 1, 2, 255, 255]), (4, 1)).astype(np.uint8)
    x = np.zeros((4, 1, 5), np.float32)
    np.savez(tmp_path / "masks.npz", x_train=x, y_train=masks, x_val=x, y_val=masks)
    spec = told(tmp_path / "masks.npz", ("task", "segmentation"), ("ignore_index", 255))
    assert (spec.num_outputs, spec.ignore_index) == (3, 255)


def test_a_folder_of_one_class_is_refused(tmp_path):
    for number in range(8):
        path = tmp_path / "sea" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    with pytest.raises(
        InvalidArgumentError, match=r"\S+ has one class only \(sea\); there is nothing to tell apart: give"
    ):
        told(tmp_path)


def images(path, *shape):
    x, y = np.zeros(shape, np.uint8), np.arange(shape[0]) % 2
    np.savez(path, x_train=x, y_train=y, x_val=x, y_val=y)
    return path


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_whose_channels_come_last_are_refused_unless_their_channels_are_named(tmp_path, channels):
    path = images(tmp_path / "last.npz", 4, 64, 32, channels)
    with pytest.raises(
        InvalidArgumentError, match=r"looks like \(N, H, W, C\), .* x\.transpose\(0, 3, 1, 2\), or say --in"
    ):
        told(path)
    assert told(path, ("in_channels", 64)).in_channels == 64
    with pytest.raises(InvalidArgumentError, match=r"--in-channels is 7, but inputs have shape .* with 64 channels"):
        told(path, ("in_channels", 7))


@pytest.mark.parametrize("shape", [(4, 3, 64, 32), (4, 3, 64, 3), (4, 1, 64, 1), (4, 64, 32, 2), (4, 64, 3)])
def test_channels_after_the_samples_are_taken_as_they_are(tmp_path, shape):
    assert told(images(tmp_path / "first.npz", *shape)).in_channels == shape[1]


def test_changes_are_read_as_numbers_words_or_lists():
    given = ["a=8", "b=3,5", "c=cosine", "d=1e-3", "e=none", "f=True", "g=None"]
    wanted = {"a": 8, "b": [3, 5], "c": "cosine", "d": 0.001, "e": "none", "f": True, "g": None}
    assert parse_changes(given) == wanted
    options = parse_changes(["backbone_options.depth=10", "backbone_options.kernel_sizes=3,5"])
    assert options == {"backbone_options": {"depth": 10, "kernel_sizes": [3, 5]}}


@pytest.mark.slow
def test_the_demo_on_images(dasha_cli, tmp_path):
    pytest.importorskip("sklearn")
    run = dasha_cli("demo", "images", "--out", str(tmp_path / "demo"), "--json", timeout=1200)
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout)
    assert outcome["test"]["accuracy"] >= 0.97
    assert (tmp_path / "demo" / "report.html").exists()


def test_the_demo_on_images_in_small(tmp_path, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    from dasha.data import digits

    whole = digits.read_digits()
    few = {name: tuple(part[:60] for part in getattr(whole, name)) for name in ("train", "validation", "test")}
    monkeypatch.setattr(digits, "read_digits", lambda: replace(whole, **few))
    arguments = [
        "demo",
        "images",
        "--out",
        str(tmp_path / "demo"),
        *TINY,
        "--set",
        "search.batch_fraction=0.1",
        "--json",
    ]
    assert main(arguments) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["backbone"], outcome["test_samples"]) == ("wide_resnet_2d", 60)
