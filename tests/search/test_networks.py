from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from dasha import Dasha
from dasha.errors import InvalidArgumentError
from dasha.search.networks import network_sources
from dasha.search.preparation import begun
from dasha.tasks import TaskSpec

from .tiny import TASK, Tiny

IMAGES = TaskSpec("multiclass", 3, 2)
DENSE = TaskSpec("segmentation", 1, 2)


def test_a_name_a_factory_and_a_module_give_networks():
    module = Tiny(in_channels=1, num_outputs=2)
    for backbone, name, registered in (("unet_1d", "unet_1d", True), (Tiny, "Tiny", False), (module, "Tiny", False)):
        (source,) = network_sources(backbone, TASK, ndim=1, options={})
        assert (source.name, source.is_registered) == (name, registered)
        assert source.make(width=1, dropout=0.1)(torch.zeros(2, 1, 16)).shape == (2, 2)


def test_a_module_is_copied():
    module = Tiny(in_channels=1, num_outputs=2)
    (source,) = network_sources(module, TASK, ndim=1, options={})
    made = source.make(width=5)
    made.head.weight.data.zero_()
    assert made is not module
    assert module.head.weight.any()


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            Tiny(in_channels=1, num_outputs=2).double(),
            r"Tiny has weights in torch\.float64 \('first\.weight'\).* \.float",
        ),
        (nn.Sequential(nn.LazyConv1d(2, 3)), r"Sequential has a lazy module, whose '0\.weight' has no shape yet; call"),
        (lambda **options: Tiny(**options).bfloat16(), r"has weights in torch\.bfloat16"),
        (nn.Linear, r"Linear cannot be made \(TypeError: .*'in_channels'\); a factory takes in_channels, num_outputs"),
        (dict, r"backbone dict gives dict, but must give a torch\.nn\.Module"),
    ],
    ids=range(5),
)
def test_what_cannot_be_trained_is_named(backbone, message):
    (source,) = network_sources(backbone, TASK, ndim=1, options={})
    with pytest.raises(InvalidArgumentError, match=message):
        source.make(width=1)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The .grad attribute")
def test_modules_of_torchscript_are_refused():
    (source,) = network_sources(torch.jit.script(nn.Conv1d(1, 2, 3)), TASK, ndim=1, options={})
    with pytest.raises(InvalidArgumentError, match=r"is a module of TorchScript, .* pass the module that it was made"):
        source.make(width=1)


def test_auto_is_every_backbone_of_the_dimensions():
    names = [source.name for source in network_sources("auto", TASK, ndim=1, options={"levels": 2})]
    assert "wide_resnet_1d" in names
    assert "unet_1d" in names
    assert not any(name.endswith("_2d") for name in names)


def test_auto_leaves_out_what_cannot_make_the_output():
    names = {source.name for source in network_sources("auto", TASK, ndim=1, options={})}
    dense = {source.name for source in network_sources("auto", DENSE, ndim=1, options={})}
    assert names - dense == {"aligned_resnet_1d", "peak_resnet_1d"}
    with pytest.raises(
        InvalidArgumentError, match=r"has outputs vector, but the task is segmentation, which needs dense"
    ):
        network_sources("aligned_resnet_1d", DENSE, ndim=1, options={})


def test_options_that_a_backbone_does_not_take_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"has 'levels', which backbone='wide_resnet_2d' does not .*'depth'"):
        network_sources("wide_resnet_2d", IMAGES, ndim=2, options={"levels": 2})
    with pytest.raises(InvalidArgumentError, match=r"has 'level', .*did you mean 'levels'.* allowed: 'kernel_size'"):
        network_sources("unet_2d", IMAGES, ndim=2, options={"level": 2})
    with pytest.raises(
        InvalidArgumentError, match=r"has 'deth', which backbone='auto' does not .*did you mean 'depth'"
    ):
        network_sources("auto", IMAGES, ndim=2, options={"levels": 2, "deth": 10})


def test_unsuitable_names_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"is for 2-D inputs, but data has 1 spatial dimensions"):
        network_sources("wide_resnet_2d", TASK, ndim=1, options={})
    with pytest.raises(InvalidArgumentError, match=r"is unknown.* did you mean 'wide_resnet_1d'"):
        network_sources("wide_resnet1d", TASK, ndim=1, options={})
    with pytest.raises(InvalidArgumentError, match="no registered backbone is for 3-D inputs"):
        network_sources("auto", TASK, ndim=3, options={})


def test_defaults_go_to_backbones_that_take_them():
    def sources(backbone, **options):
        found = network_sources(backbone, IMAGES, ndim=2, options=options, defaults={"patch_size": 3})
        return {source.name: dict(source.options) for source in found}

    assert sources("auto") == {"wide_resnet_2d": {"patch_size": 3}, "unet_2d": {"patch_size": 3}}
    assert sources("auto", depth=10)["wide_resnet_2d"] == {"patch_size": 3, "depth": 10}
    assert sources("auto", depth=10)["unet_2d"] == {"patch_size": 3}
    assert sources("unet_2d", patch_size=1) == {"unet_2d": {"patch_size": 1}}
    assert sources(lambda **arguments: None) == {"test_defaults_go_to_backbones_that_take_them.<locals>.<lambda>": {}}


@pytest.mark.parametrize(
    ("backbone", "options", "taken"),
    [
        ("wide_resnet_2d", {}, {"wide_resnet_2d": {"depth": 22}}),
        ("wide_resnet_2d", {"backbone_options": {"depth": 10}}, {"wide_resnet_2d": {"depth": 10}}),
        ("wide_resnet_2d", {"backbone_options": {}}, {"wide_resnet_2d": {}}),
        ("unet_2d", {}, {"unet_2d": {}}),
        ("auto", {}, {"wide_resnet_2d": {"depth": 22}, "unet_2d": {}}),
        (partial(Tiny, ndim=2), {}, {"partial": {}}),
    ],
)
def test_the_depth_of_the_paper_is_for_backbones_that_have_one(tmp_path, backbone, options, taken):
    run = Dasha(IMAGES, tmp_path, backbone=backbone, budget="paper", overrides={"width": 1, **options}, is_shown=False)
    data = np.zeros((4, 3, 8, 8), dtype="float32"), np.arange(4) % 2
    with begun(run._setup, data, data) as (_, sources):
        assert {source.name: dict(source.options) for source in sources} == taken
