import math
import subprocess
import sys

import pytest
import torch

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

import segmentation_models_pytorch as smp
import timm

from dasha.errors import InvalidArgumentError, StateFileError
from tests.torchgeo.test_tasks import task_of
from torchgeo_dasha import _compat
from torchgeo_dasha.timm_models import RegisterNetworks, register_network

NAMES = ("dasha_wrn", "dasha_unet")
SMALL = {"dasha_wrn": {"width": 1, "depth": 10}, "dasha_unet": {"width": 1, "levels": 2}}


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_as_timm_knows_it(name):
    images = torch.randn(2, 5, 16, 16)
    model = timm.create_model(name, num_classes=3, in_chans=5, drop_rate=0.1, **SMALL[name])
    assert model(images).shape == (2, 3)
    assert sum(weight.numel() for weight in model.get_classifier().parameters()) == 3 * (model.num_features + 1)
    model.reset_classifier(7)
    assert (model(images).shape, model.num_classes) == ((2, 7), 7)
    features = timm.create_model(name, num_classes=0, in_chans=5, **SMALL[name]).eval()
    maps = features.forward_features(images)
    assert torch.equal(features(images), features.forward_head(maps, pre_logits=True))
    assert features(images).shape == (2, features.num_features)


@pytest.mark.parametrize("name", NAMES)
def test_features_at_every_stride(name):
    model = timm.create_model(name, features_only=True, in_chans=5, **SMALL[name])
    assert model.feature_info.reduction() == [1, 2, 4, 8, 16, 32]
    maps = model(torch.randn(2, 5, 64, 64))
    assert [tuple(part.shape[1:]) for part in maps] == [
        (channels, 64 // 2**stage, 64 // 2**stage) for stage, channels in enumerate(model.feature_info.channels())
    ]
    some = timm.create_model(name, features_only=True, out_indices=(1, 3), **SMALL[name])
    assert some.feature_info.reduction() == [2, 8]
    assert len(some(torch.randn(1, 3, 16, 16))) == 2
    for wanted, expected in [(3, [8, 16, 32]), (-1, None), ((-2, -1), [16, 32]), ([0, -1], [1, 32]), ((6,), None)]:
        if expected is None:
            with pytest.raises(InvalidArgumentError, match=r"out_indices=\S+ has \w+, but stages are 0 to 5, or -6 to"):
                timm.create_model(name, features_only=True, out_indices=wanted, **SMALL[name])
        else:
            some = timm.create_model(name, features_only=True, out_indices=wanted, **SMALL[name])
            assert some.feature_info.reduction() == expected


def test_arguments_that_other_models_of_timm_have():
    images = torch.randn(2, 3, 16, 16)
    for name in NAMES:
        given = {"num_classes": 3, "global_pool": "avg", "drop_path_rate": 0.0, **SMALL[name]}
        assert timm.create_model(name, **given)(images).shape == (2, 3)
        for wrong, message in [
            ({"img_size": 64}, r"img_size=64 is no option of this network; leave it out.*; allowed: .*width"),
            ({"drop_path_rate": 0.1}, r"drop_path_rate=0.1 is no option"),
            ({"global_pool": "max"}, r"global_pool='max' must be 'avg' or ''"),
            ({"global_pool": ""}, r"global_pool='' leaves out averages, which is for dasha_wrn with num_classes=0"),
        ]:
            with pytest.raises(InvalidArgumentError, match=message):
                timm.create_model(name, **{**given, **wrong})
    maps = timm.create_model("dasha_wrn", num_classes=0, global_pool="", **SMALL["dasha_wrn"]).eval()
    averages = timm.create_model("dasha_wrn", num_classes=0, **SMALL["dasha_wrn"]).eval()
    averages.load_state_dict(maps.state_dict())
    assert maps(images).shape == (2, maps.num_features, 4, 4)
    assert torch.allclose(maps(images).mean((2, 3)), averages(images), atol=1e-6)


@pytest.mark.parametrize("patch_size", [2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_patches(name, patch_size):
    """Those that are searched for images of more than 32 × 32 pixels."""
    options = {"in_chans": 5, "patch_size": patch_size, **SMALL[name]}
    images = torch.randn(2, 5, 96, 64)
    model = timm.create_model(name, num_classes=3, **options).eval()
    assert torch.equal(model(images), model.network(images))
    assert torch.equal(model(images), model.forward_head(model.forward_features(images)))
    stages = timm.create_model(name, features_only=True, **options)
    assert stages.feature_info.reduction() == [1, 2, 4, 8, 16, 32]
    maps = stages(images)
    assert [tuple(part.shape[1:]) for part in maps] == [
        (channels, 96 // 2**stage, 64 // 2**stage) for stage, channels in enumerate(stages.feature_info.channels())
    ]
    assert torch.equal(maps[0], images)  # nothing of the network is as fine
    assert maps[2].shape[1] == 16 * 2 ** (2 - (patch_size > 2) - 1)
    assert [part.shape[2:] for part in stages(torch.randn(2, 5, 33, 47))] == [
        (math.ceil(33 / 2**stage), math.ceil(47 / 2**stage)) for stage in range(6)
    ]
    for decoder in (smp.Unet, smp.UPerNet, smp.Segformer):
        whole = decoder(f"tu-{name}", encoder_weights=None, in_channels=5, classes=4, patch_size=patch_size, width=1)
        assert whole(images).shape == (2, 4, 96, 64)


def test_there_are_no_pretrained_weights():
    with pytest.raises(InvalidArgumentError, match=r"pretrained=True, but there are no pretrained weights"):
        timm.create_model("dasha_wrn", pretrained=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished search of a U-Net."""
    from lightning.pytorch import Trainer

    sys_path = tmp_path_factory.mktemp("searched")
    import generated_data

    task = task_of(run_dir=str(sys_path / "run"))
    data = generated_data.GeneratedDataModule(target="class", size=8, count=8)
    trainer = Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=sys_path,
    )
    trainer.fit(task, data)
    return sys_path / "run", task.found.plan


def kernels_of(network, plan):
    modules = dict(network.named_modules())
    return {
        name: (modules[name].kernel_size[0], modules[name].dilation[0]) for name in plan.architecture if name in modules
    }


def test_a_searched_network_in_timm_and_as_an_encoder(run):
    path, plan = run
    model = timm.create_model("dasha_unet", num_classes=2, in_chans=3, architecture=path)
    assert kernels_of(model.network, plan) == plan.architecture
    assert model.network.width == 1
    patches = {**plan.as_dict(), "options": {**plan.options, "patch_size": 2}}
    assert timm.create_model("dasha_unet", num_classes=2, architecture=patches)(torch.zeros(1, 3, 64, 64)).shape == (
        1,
        2,
    )
    unet = smp.Unet(
        "tu-dasha_unet", encoder_weights=None, in_channels=6, classes=2, architecture=plan.as_dict(), width=2
    )
    encoder = unet.encoder.model.network
    assert encoder.width == 2
    found = kernels_of(encoder, plan)
    assert found
    assert found.items() <= plan.architecture.items()
    with pytest.raises(InvalidArgumentError, match=r"architecture is for backbone 'unet_2d', but this is 'wide_resnet"):
        timm.create_model("dasha_wrn", architecture=str(path))


def test_a_searched_network_under_a_name_of_its_own(run, tmp_path):
    path, plan = run
    RegisterNetworks({"dasha_test_fields": str(path)})
    register_network("dasha_test_fields", path)  # again is no mistake
    model = timm.create_model("dasha_test_fields", num_classes=2, in_chans=3)
    assert kernels_of(model.network, plan) == plan.architecture
    with pytest.raises(InvalidArgumentError, match=r"name='resnet18' must be a Python name that no model of timm has"):
        register_network("resnet18", path)
    with pytest.raises(StateFileError, match=r"there is no finished search in"):
        RegisterNetworks({"dasha_test_none": str(tmp_path)})


@pytest.mark.parametrize("freeze", [False, True])
def test_tasks_of_torchgeo_itself(freeze, data_of, trainer_of):
    task = _compat.Classification(model="dasha_wrn", in_channels=4, num_classes=4, freeze_backbone=freeze)
    trainer = trainer_of(fast_dev_run=True)
    trainer.fit(task, data_of())
    trained = [name for name, weight in task.named_parameters() if weight.requires_grad]
    assert (trained == ["model.network.head.linear.weight", "model.network.head.linear.bias"]) == freeze


def test_segmentation_of_torchgeo_itself(data_of, trainer_of):
    task = _compat.SemanticSegmentation(
        model="unet", backbone="tu-dasha_wrn", in_channels=4, num_classes=5, freeze_backbone=True
    )
    trainer_of(fast_dev_run=True).fit(task, data_of("mask", size=32, count=4))
    assert task(torch.randn(1, 4, 32, 32)).shape == (1, 5, 32, 32)


@pytest.mark.slow
def test_names_are_registered_only_by_who_asks():
    code = (
        "import timm, torchgeo_dasha, torchgeo_dasha.plugin\n"
        "print(timm.is_model('dasha_wrn'))\n"
        "torchgeo_dasha.RegisterNetworks\n"
        "print(timm.is_model('dasha_wrn'), timm.is_model('dasha_unet'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert result.stdout.split() == ["False", "True", "True"]
