"""``dasha search --config`` with files of ``torchgeo fit``, as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

import torch
from torchgeo.main import main as torchgeo

from dasha.cli import main
from dasha.search import load_search
from tests.torchgeo.conftest import EXAMPLES, OPTIONS

SOURCE = Path(__file__).parents[2] / "plugins"
QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
DATA = {
    "class_path": "generated_data.GeneratedDataModule",
    "init_args": {"batch_size": 4},
    "dict_kwargs": {"target": "class", "size": 8, "count": 8},
}
TASK = {"in_channels": 4, "num_classes": 4, **OPTIONS}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run where nothing lies; Lightning stops listening to Ctrl-C after the first."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["dasha"])
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def write(tmp_path):
    """Write a configuration, with some parts replaced."""

    def make(name="fields.yaml", *, class_path="torchgeo_dasha.DashaClassificationTask", trainer=None, **task):
        content = {
            "trainer": {**QUIET, "max_epochs": 1, **(trainer or {})},
            "model": {"class_path": class_path, "init_args": {**TASK, **task}},
            "data": DATA,
        }
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        return name

    return make


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_search_is_what_torchgeo_fit_goes_on_from(write, tmp_path, capsys, request):
    callbacks = [{"class_path": "DeviceStatsMonitor"}, {"class_path": "ModelCheckpoint"}]
    assert main(["search", "--config", write(trainer={"callbacks": callbacks}), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    folder = Path(outcome["run"])
    assert (outcome["goal"], outcome["backbone"]) == ("search", "unet_2d")
    assert {"search.json", "plan.json", "tune.json", "report.html"} <= set(files_of(folder))
    assert files_of(tmp_path) == ["dasha", "fields.yaml"]  # no logs, no checkpoints
    assert folder.parent == tmp_path / "dasha"
    assert outcome["fit"] == f"torchgeo fit --config fields.yaml --model.init_args.architecture={folder}"

    # The trainer looks into the same folder, with nothing changed in the file.
    searched = json.loads((folder / "search.json").read_text())
    request.getfixturevalue("no_stage")
    torchgeo(["fit", "--config", write()])
    (path,) = tmp_path.rglob("*.ckpt")
    stored = torch.load(path, weights_only=True)["hyper_parameters"]["architecture"]["plan"]["architecture"]
    assert {name: list(pair) for name, pair in stored.items()} == searched["architecture"]

    # As an architecture, it is not even asked for its data.
    request.getfixturevalue("no_search")
    torchgeo([*outcome["fit"].split()[1:], "--trainer.fast_dev_run", "true"])


def test_the_run_is_where_it_was_searched(write, tmp_path, capsys, monkeypatch, generated_data):
    def teardown(self, stage):
        self.batch_size = 99

    monkeypatch.setattr(generated_data.GeneratedDataModule, "teardown", teardown, raising=False)
    assert main(["search", "--config", write(), "--json"]) == 0
    assert "plan.json" in files_of(Path(json.loads(capsys.readouterr().out)["run"]))


@pytest.fixture
def no_stage(monkeypatch):
    """Make every stage of a search an error."""
    from dasha.search import stages

    def refuse(*arguments, **options):
        raise AssertionError("a second search")

    monkeypatch.setattr(stages, "search_kernels", refuse)
    monkeypatch.setattr(stages, "tune", refuse)


def test_torchgeos_own_task_with_what_was_found(write, tmp_path, capsys):
    arguments = ["--out", "runs/fields", "--set", "model.init_args.seed=1", "--set", "data.init_args.batch_size=2"]
    assert main(["search", "--config", write(run_dir="elsewhere"), *arguments]) == 0
    shown = capsys.readouterr()
    assert "report in" in shown.out
    assert files_of(tmp_path) == ["fields.yaml", "runs"]
    assert "--data.init_args.batch_size=2 --model.init_args.architecture=runs/fields" in shown.err
    config = json.loads(Path("runs/fields/config.json").read_text())
    assert (config["settings"]["seed"], config["budget"]["batch_size"]) == (1, 2)

    register = {"class_path": "torchgeo_dasha.RegisterNetworks", "init_args": {"architectures": {"own": "runs/fields"}}}
    name = write("stock.yaml", class_path="ClassificationTask", trainer={"callbacks": [register]})
    content = yaml.safe_load(Path(name).read_text())
    content["model"]["init_args"] = {"model": "own", "in_channels": 4, "num_classes": 4}
    Path(name).write_text(yaml.safe_dump(content))
    torchgeo(["fit", "--config", name])
    (path,) = tmp_path.rglob("*.ckpt")
    state = torch.load(path, weights_only=True)["state_dict"]
    size, _ = load_search("runs/fields").plan.architecture["encoder.0.conv1"]
    assert any("encoder.0.conv1" in key and value.shape[-1] == size for key, value in state.items())


def test_an_optimizer_of_the_file_trains_what_was_found(write, tmp_path):
    name = write(search=False)
    text = Path(name).read_text().replace("search: false", "search: off")
    optimizer = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.25}}
    scheduler = {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 1, "gamma": 0.5}}
    Path(name).write_text(text + yaml.safe_dump({"optimizer": optimizer, "lr_scheduler": scheduler}))
    for epochs in (1, 2):
        resumed = [f"--ckpt_path={path}" for path in tmp_path.rglob("*.ckpt")]
        torchgeo(["fit", "--config", name, f"--trainer.max_epochs={epochs}", *resumed])
        stored = torch.load(max(tmp_path.rglob("*.ckpt"), key=os.path.getmtime), weights_only=True)
        (trained,) = stored["optimizer_states"]
        assert trained["param_groups"][0]["lr"] == 0.25 * 0.5**epochs
        weights = [value for value in stored["state_dict"].values() if value.is_floating_point()]
        moments = [entry["exp_avg"] for entry in trained["state"].values()]
        assert {tuple(moment.shape) for moment in moments} <= {tuple(weight.shape) for weight in weights}
        assert len(moments) > 10
        assert stored["hyper_parameters"]["search"] == "off"
    assert not any("stand_in" in key for key in stored["state_dict"])


def test_a_search_that_was_interrupted_goes_on(write, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("dasha.search.course.train_epoch", interrupt)
        assert main(["search", "--config", write(), "--out", "run"]) == 130
    assert Path("run/search.json").is_file()
    assert not Path("run/plan.json").exists()
    assert main(["resume", "run"]) == 2  # only the file knows the data
    monkeypatch.setattr("dasha.search.stages.search_kernels", interrupt)
    assert main(["search", "--config", write(), "--out", "run"]) == 0
    assert load_search("run").plan.backbone == "unet_2d"


def test_the_command_by_itself(write, tmp_path):
    home = {"PYTHONPATH": os.pathsep.join([str(SOURCE), str(EXAMPLES)]), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    command = [sys.executable, "-m", "dasha", "search", "--config", write(), "--out", "run", "--json"]
    done = subprocess.run(command, env={**os.environ, **home}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["architecture"]
    assert "sys.argv" not in done.stderr


REFUSED = {
    "no file": (None, r"--config 'none.yaml' cannot be read: No such file or directory"),
    "a folder": ("", r"--config 'none.yaml' cannot be read: Is a directory"),
    "no YAML": ("model: [", r"--config 'none.yaml' is not YAML: .*line 1"),
    "bytes": (b"\x93NUMPY\xff", r"--config 'none.yaml' is not YAML"),
    "code": ("model: !!python/object/apply:os.getcwd []", r"is not YAML: could not determine a constructor"),
    "a list": ("[1, 2]", r"holds list, but must hold names and values; such files: .*a file of 'torchgeo fit'"),
    "nothing": ("", r"holds NoneType, but must"),
    "another file": (
        "fit: {model: 1}",
        r"has fit, but is no file that a plugin searches with; such files: .*class_path",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_files_that_are_none(kind, capsys):
    content, message = REFUSED[kind]
    if kind == "a folder":
        Path("none.yaml").mkdir()
    elif content is not None:
        Path("none.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["search", "--config", "none.yaml"]) == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"architecture": "runs/a"},
            r"has architecture='runs/a', a finished search.*delete that line, or run torchgeo",
        ),
        ({"trainer": {"fast_dev_run": True}}, r"has fast_dev_run, which keeps no search; delete that line"),
        ({"num_clases": 4}, r"fields.yaml is refused by torchgeo fit: .*num_clases"),
        ({"class_path": "torchgeo_dasha.Missing"}, r"is refused by torchgeo fit: .*torchgeo_dasha.Missing"),
        ({"budget": "huge"}, r"budget='huge' must be one of"),
    ],
)
def test_files_that_leave_nothing_to_search(options, message, write, tmp_path, capsys):
    assert main(["search", "--config", write(**options)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert files_of(tmp_path) == ["fields.yaml"]


def test_a_file_that_goes_on_with_a_training(write, capsys):
    text = Path(write()).read_text()
    Path("fields.yaml").write_text(f"{text}\nckpt_path: fields.yaml\n")
    assert main(["search", "--config", "fields.yaml"]) == 2
    assert "has ckpt_path='fields.yaml', a training to go on with" in (told := capsys.readouterr().err)
    assert "delete that line, or run torchgeo fit" in told


@pytest.mark.parametrize(
    ("class_path", "message"),
    [
        ("ClassificationTask", r"'torchgeo\..*' below model, .* change it to torchgeo_dasha.DashaClassificationTask"),
        ("torchgeo.trainers.SimCLRTask", r"which searches no network; there are DashaClassificationTask, DashaPixel"),
        ("PixelwiseRegressionTask", r"change it to torchgeo_dasha.DashaPixelwiseRegressionTask"),
    ],
)
def test_tasks_that_search_nothing(class_path, message, tmp_path, capsys):
    content = {"model": {"class_path": class_path}, "data": DATA}
    Path("stock.yaml").write_text(yaml.safe_dump(content))
    assert main(["search", "--config", "stock.yaml"]) == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "a.yaml", "--budget", "smoke"], r"--budget is given beside --config, but a.yaml says that"),
        (["data.npz", "--config", "a.yaml"], r"data is given beside --config"),
        (["--config", "a.yaml", "--n-seeds", "2"], r"--n-seeds is given beside .* such as --set data.init_args"),
        (["--out", "run"], r"the data is missing: give data and --out FOLDER, or --config FILE"),
        (["data.npz"], r"--out is missing: give data and --out FOLDER, or --config FILE"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, capsys):
    assert main(["search", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_change_without_a_value(write, capsys):
    assert main(["search", "--config", write(), "--set", "data"]) == 2
    assert "--set is 'data', but must be like" in capsys.readouterr().err
