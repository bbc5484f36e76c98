"""``dasha fit``, ``resume``, ``report`` and ``demo images`` as a user runs them."""

import json
import shutil

import numpy as np
import pytest

from dasha.cli import main
from dasha.cli._fit_run import parse_changes

TINY = [
    word
    for change in (
        "tune.trials=2",
        "tune.max_resource=1",
        "retrain.epochs=1",
        "search.epochs=1",
        "search.kernel_sizes=3,5",
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
        (["--search", "maybe"], "search='maybe' must be one of 'on', 'off', 'random'"),
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


def test_changes_are_read_as_numbers_words_or_lists():
    given = ["a=8", "b=3,5", "c=cosine", "d=1e-3", "e=none", "f=True", "g=None"]
    wanted = {"a": 8, "b": [3, 5], "c": "cosine", "d": 0.001, "e": "none", "f": True, "g": None}
    assert parse_changes(given) == wanted


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
    from dasha.data import sources

    whole = sources.read_digits()
    few = sources.SourceData(
        *((part[0][:60], part[1][:60]) for part in (whole.train, whole.validation, whole.test)), whole.path, whole.rule
    )
    monkeypatch.setattr(sources, "read_digits", lambda: few)
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
