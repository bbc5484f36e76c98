import json

import pytest
import torch
from safetensors.torch import save_file

from dasha.errors import InvalidArgumentError, StateFileError
from dasha.search import load_model
from dasha.search.model import Ensemble, save_members
from dasha.search.plan import NetworkPlan
from dasha.search.run_folder import RunFolder
from dasha.search.units import Normalize
from dasha.tasks import TaskSpec

from .tiny import TEST, Tiny, states_of_generators

PLAN = NetworkPlan(
    TaskSpec("multiclass", in_channels=1, num_outputs=2),
    ndim=1,
    backbone="Tiny",
    is_registered=False,
    width=1,
    normalization={"mean": [1.0], "std": [2.0]},
)


@pytest.fixture
def saved(tmp_path):
    members = [PLAN.build(Tiny).eval() for _ in range(2)]
    save_members(RunFolder(tmp_path / "run"), members, PLAN, is_ensemble=True)
    return members, tmp_path / "run" / "model.safetensors"


def test_a_model_computes_what_it_computed(saved):
    members, file = saved
    x = torch.tensor(TEST[0])
    before = states_of_generators()
    for path in (file, file.parent):
        for network in (Tiny, Tiny(in_channels=1, num_outputs=2)):
            model = load_model(path, network=network)
            assert not model.training
            torch.testing.assert_close(model(x), Ensemble(members)(x), rtol=0, atol=0)
    assert states_of_generators()[1:] == before[1:]


def test_loading_draws_nothing_from_the_callers_generators(saved):
    before = states_of_generators()
    load_model(saved[1], network=Tiny)
    assert states_of_generators() == before


def test_a_network_that_is_not_registered_has_to_be_given(saved):
    with pytest.raises(InvalidArgumentError, match=r"'Tiny' is not registered with dasha; pass network="):
        load_model(saved[1])


def test_files_that_are_no_models_are_refused(saved, tmp_path):
    file = saved[1]
    whole = file.read_bytes()
    with pytest.raises(StateFileError, match=r"none\.safetensors"):
        load_model(tmp_path / "none.safetensors")
    for content in (b"", whole[: len(whole) // 2], b"\x80\x04."):
        file.write_bytes(content)
        with pytest.raises(StateFileError, match=r"model\.safetensors"):
            load_model(file, network=Tiny)
    for metadata in (None, {"dasha": "{}"}, {"dasha": "["}, {"dasha": json.dumps({"format": 1})}):
        save_file({"a": torch.zeros(1)}, file, metadata=metadata)
        with pytest.raises(StateFileError, match=r"model\.safetensors"):
            load_model(file, network=Tiny)


def test_weights_of_another_network_are_refused(saved):
    def other(**arguments):
        return Tiny(**{**arguments, "width": 3})

    with pytest.raises(StateFileError, match="does not fit the network it names"):
        load_model(saved[1], network=other)


def test_normalisation_is_of_channels():
    layer = Normalize([1.0, 2.0], [2.0, 4.0], 2)
    x = torch.randn(3, 2, 4, 5)
    expected = torch.stack([(x[:, 0] - 1) / 2, (x[:, 1] - 2) / 4], 1)
    torch.testing.assert_close(layer(x), expected)


def test_a_plan_survives_json():
    task = TaskSpec("multiclass", 3, 4, class_weights=(1.0, 2.0, 1.0, 1.0), class_names=("a", "b", "c", "d"))
    plan = NetworkPlan(
        task, 2, "wide_resnet_2d", True, 1, 0.1, {}, {"block1.0.conv1": (5, 3)}, {"mean": [0.0], "std": [1.0]}
    )
    assert NetworkPlan.of_dict(json.loads(json.dumps(plan.as_dict()))) == plan
