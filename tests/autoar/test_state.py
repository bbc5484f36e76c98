"""What is saved comes back bit by bit; what is damaged is refused in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dasha.autoar import AutoAR
from dasha.autoar.state import from_plain, to_plain
from dasha.errors import InvalidArgumentError, NotFittedError, StateFileError
from dasha.runs import MANIFEST

from .brute import autoregressive


def series(rng: np.random.Generator) -> list[np.ndarray]:
    first = np.column_stack([autoregressive(rng, 120), np.full(120, 4.0)])
    second = autoregressive(rng, 70)[:, None].cumsum(0)
    second[[20, 69]] = np.nan
    return [first, second, np.full((2, 1), 3.0)]


@pytest.fixture
def model() -> AutoAR:
    settings = {"max_lookback": 9, "criterion": "horizon_bic", "horizon": 3, "validation_fraction": 0.3}
    return AutoAR(**settings, device="cpu").fit(series(np.random.default_rng(0)))  # type: ignore[arg-type]


def test_equal_forecasts(model: AutoAR, tmp_path: Path) -> None:
    assert model.save(tmp_path / "model") == tmp_path / "model"
    loaded = AutoAR.load(tmp_path / "model", device="cpu")
    assert loaded.config == model.config
    assert repr(loaded) == repr(model)
    for name in ("criterion_path_", "coefficients_", "intercept_", "diff_order_", "context_length_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    for ours, theirs in zip(loaded.predict(20), model.predict(20), strict=True):
        np.testing.assert_array_equal(ours.mean, theirs.mean)
        np.testing.assert_array_equal(ours.sigma, theirs.sigma)
        np.testing.assert_array_equal(ours.std, theirs.std)
    unseen = np.random.default_rng(1).normal(size=(40, 3))
    np.testing.assert_array_equal(loaded.predict(5, unseen).mean, model.predict(5, unseen).mean)


@pytest.mark.parametrize(
    "values",
    [np.full(20, 3.0), np.arange(12.0) % 5, np.column_stack([np.arange(30.0) % 7, np.full(30, np.nan)])],
    ids=["constant", "short", "a channel without values"],
)
@pytest.mark.filterwarnings("ignore:lags are collinear", "ignore:1 of 2 channels")
def test_unusual_states(values: np.ndarray, tmp_path: Path) -> None:
    model = AutoAR(max_lookback=4, device="cpu").fit(values)
    model.save(tmp_path)
    np.testing.assert_array_equal(AutoAR.load(tmp_path, device="cpu").predict(4).mean, model.predict(4).mean)


@pytest.mark.parametrize("as_list", [False, True])
def test_a_list_stays_a_list(as_list: bool, tmp_path: Path) -> None:
    y = autoregressive(np.random.default_rng(0), 60)
    AutoAR(lookback=2, device="cpu").fit([y] if as_list else y).save(tmp_path)
    assert isinstance(AutoAR.load(tmp_path, device="cpu").predict(2), list) is as_list


def test_numpy_settings_are_saved(tmp_path: Path) -> None:
    y = autoregressive(np.random.default_rng(0), 60)
    fraction = float(np.float32(0.5))
    model = AutoAR(max_lookback=np.int64(4), diff_order=np.int64(1), validation_fraction=np.float32(0.5), device="cpu")
    model.fit(y).save(tmp_path)
    assert AutoAR.load(tmp_path, device="cpu").config.validation_fraction == fraction


def test_two_plain_files_without_pickle(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "model.json", "model.safetensors"]
    values = json.loads((tmp_path / "model.json").read_text())
    assert values["format"] == "dasha-autoar"
    tensors = (tmp_path / "model.safetensors").read_bytes()
    header = json.loads(tensors[8 : 8 + int.from_bytes(tensors[:8], "little")])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F64"}


def test_loading_imports_no_pickle_and_loads_in_another_process(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path)
    code = (
        "import sys, pickle, numpy as np\n"
        "def refuse(*a, **k): raise AssertionError('pickle was used')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "from dasha.autoar import AutoAR\n"
        "print(AutoAR.load(sys.argv[1], device='cpu').predict(3)[0].mean.tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    forecast = model.predict(3)
    assert isinstance(forecast, list)
    assert run.stdout.strip() == forecast[0].mean.tobytes().hex()


def test_saving_again_replaces(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path)
    other = AutoAR(lookback=1, diff_order=0, device="cpu").fit(np.arange(20.0) % 3)
    other.save(tmp_path)
    assert AutoAR.load(tmp_path).lookback_ == 1


def test_a_foreign_folder_is_left_alone(model: AutoAR, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgumentError, match=r"holds other files .* and is left alone"):
        model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        AutoAR().save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("damage", [Path.unlink, truncate, lambda path: path.write_bytes(b""), flip_a_bit])
def test_damaged_files(model: AutoAR, tmp_path: Path, name: str, damage: object) -> None:
    model.save(tmp_path)
    damage(tmp_path / name)  # type: ignore[operator]
    if name == "model.json" and damage is flip_a_bit:
        (tmp_path / name).write_bytes(b"\xff" + (tmp_path / name).read_bytes())
    with pytest.raises(StateFileError, match="holds no complete AutoAR model"):
        AutoAR.load(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "3", "{}", '{"format": "dasha-autoar", "version": 1}'])
def test_other_json(model: AutoAR, tmp_path: Path, content: str) -> None:
    model.save(tmp_path)
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(StateFileError, match="holds no complete AutoAR model"):
        AutoAR.load(tmp_path)


def test_files_of_two_models(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path / "a")
    AutoAR(lookback=1, device="cpu").fit(np.arange(20.0) % 3).save(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").replace(tmp_path / "a" / "model.safetensors")
    with pytest.raises(StateFileError, match="does not belong to model"):
        AutoAR.load(tmp_path / "a")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="holds no complete AutoAR model"):
        AutoAR.load(tmp_path / "nowhere")


def test_a_later_version_is_refused(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 99'))
    with pytest.raises(StateFileError, match="version 99, but this version of dasha-plugins reads"):
        AutoAR.load(tmp_path)


def test_unknown_device_is_not_blamed_on_the_files(model: AutoAR, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(InvalidArgumentError, match="device is 'abacus'"):
        AutoAR.load(tmp_path, device="abacus")


def test_plain_containers(model: AutoAR) -> None:
    values, arrays = to_plain(model)
    json.dumps(values)
    assert all(array.dtype == np.float64 for array in arrays.values())
    restored = from_plain(values, arrays)
    for ours, theirs in zip(restored.predict(5), model.predict(5), strict=True):
        np.testing.assert_array_equal(ours.mean, theirs.mean)
    for name in arrays:
        with pytest.raises(StateFileError, match="incomplete or damaged"):
            from_plain(values, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(StateFileError, match="incomplete or damaged"):
        from_plain({**values, "config": {**values["config"], "unheard_of": 1}}, arrays)
