"""Where trials run, as far as that is decided before any of them does."""

import json
import pickle
import sys

import pytest
import torch

from dasha import Dasha
from dasha.cli import main
from dasha.data.part import Part
from dasha.data.split import ArraySplit, as_split
from dasha.errors import InvalidArgumentError, OptionalDependencyError
from dasha.search.settings import TuneSettings

from .tiny import TRAIN, VALIDATION, Tiny, run_of

FEW = {"search.epochs": 1, "tune.trials": 1, "tune.max_resource": 1, "retrain.epochs": 1}


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)


def test_an_unknown_engine_is_refused(tmp_path, capsys):
    with pytest.raises(InvalidArgumentError, match="engine='dask' must be one of 'local', 'ray'"):
        run_of(engine="dask")
    for command in ("fit", "search"):
        assert main([command, "digits", "--out", str(tmp_path / "run"), "--engine", "dask"]) == 2
        assert "engine='dask' must be one of 'local', 'ray'" in capsys.readouterr().err


@pytest.mark.parametrize("gpus", [-1, 1.5, "all", float("inf"), float("nan"), True])
def test_gpus_are_whole_or_a_share_of_one(gpus):
    with pytest.raises(InvalidArgumentError, match=r"tune\.gpus_per_trial=.* must be a whole number of GPUs"):
        TuneSettings(gpus_per_trial=gpus)


def test_resources_that_are_allowed():
    assert [TuneSettings(gpus_per_trial=gpus).gpus_per_trial for gpus in (None, 0, 0.25, 1, 2)] == [None, 0, 0.25, 1, 2]
    with pytest.raises(InvalidArgumentError, match=r"tune\.cpus_per_trial=0 must be a whole number, at least 1"):
        TuneSettings(cpus_per_trial=0)


@pytest.mark.usefixtures("no_ray")
def test_without_ray_the_error_names_the_command_before_anything_is_searched(tmp_path):
    with pytest.raises(OptionalDependencyError, match=r"pip install 'dasha-plugins\[ray\]'"):
        run_of(tmp_path, engine="ray").fit(TRAIN, VALIDATION)
    assert not (tmp_path / "search.json").exists()


@pytest.mark.usefixtures("no_ray")
def test_a_run_may_change_its_engine(tmp_path):
    expected = run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION)
    # Once it is tuned, Ray is not needed any more.
    other = {**FEW, "tune.cpus_per_trial": 2, "tune.gpus_per_trial": 1}
    assert run_of(tmp_path, overrides=other, engine="ray").search(TRAIN, VALIDATION) == expected
    assert json.loads((tmp_path / "config.json").read_text())["settings"]["engine"] == "ray"
    fitted = Dasha.resume(tmp_path, TRAIN, VALIDATION, backbone=Tiny, is_shown=False, engine="local")
    assert fitted.config.engine == "local"
    assert run_of(tmp_path, overrides=FEW, engine="ray").fit(TRAIN, VALIDATION).result == fitted.result
    with pytest.raises(InvalidArgumentError, match=r"budget\.tune\.trials: 1 there, 2 now"):
        run_of(tmp_path, overrides={**other, "tune.trials": 2}, engine="ray").fit(TRAIN, VALIDATION)


@pytest.mark.usefixtures("no_ray")
def test_a_run_of_before_there_were_engines_goes_on(tmp_path):
    expected = run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["settings"]["engine"], config["budget"]["tune"]["cpus_per_trial"]
    del config["budget"]["tune"]["gpus_per_trial"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run_of(tmp_path, overrides=FEW).search(TRAIN, VALIDATION) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bfloat16])
def test_arrays_are_pickled_as_memory(dtype):
    inputs, targets = torch.arange(6000).view(10, 3, 200).to(dtype), torch.arange(10)
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(Part(ArraySplit(inputs, targets), 1.0), protocol=5, buffer_callback=buffers.append)
    again = pickle.loads(content, buffers=[bytes(buffer.raw()) for buffer in buffers])  # bytes: cannot be written to
    ((got, labels),) = again.batches(10, shuffle=False)
    assert torch.equal(got, inputs.float())
    assert torch.equal(labels, targets)
    if dtype != torch.bfloat16:
        assert len(buffers) == 2
        assert len(content) < 1000


def test_a_joined_split_is_pickled_too():
    joined = as_split(TRAIN, "train").joined(as_split(VALIDATION, "validation"))
    assert pickle.loads(pickle.dumps(joined)).size == joined.size
