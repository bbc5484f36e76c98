"""Networks with open kernels, and the same networks with the kernels closed again."""

import copy
import json
import warnings

import pytest
import torch
from torch import nn

from dasha.backbones import UNet1d, UNet2d, WideResNet1d, WideResNet2d, searchable_layers
from dasha.errors import InvalidArgumentError
from dasha.search.mixed_layers import MixedConv
from dasha.search.supernet import apply_architecture, is_ordinary, to_fixed, to_supernet

KERNELS, DILATIONS = (3, 5), (1, 2)


def plain():
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 4, 5, padding="same", bias=False)
    )


def grouped():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), nn.ReLU(), nn.Conv2d(6, 6, 5, stride=(1, 2), padding=2)
    )


def from_timm(name, **options):
    def make():
        timm = pytest.importorskip("timm", reason="timm is not installed")
        return timm.create_model(name, pretrained=False, num_classes=2, **options)

    return make


BACKBONES = {
    network.__name__: (lambda network=network: network(in_channels=3, num_outputs=2, width=1), network.ndim)
    for network in (WideResNet1d, WideResNet2d, UNet1d, UNet2d)
}
NETWORKS = {
    **BACKBONES,
    "plain": (plain, 1),
    "grouped": (grouped, 2),
    "resnet18": (from_timm("resnet18", channels=(8, 16, 32, 64)), 2),
    "convnext_atto": (from_timm("convnext_atto"), 2),
    "efficientnet_b0": (from_timm("efficientnet_b0"), 2),
}


def opened(model):
    """The supernet, small and computed as one convolution: measuring which method is fastest takes seconds."""
    supernet = to_supernet(model, KERNELS, DILATIONS, is_depthwise=True)
    for mixture in supernet.mixtures.values():
        mixture.method = "direct"
    return supernet


@pytest.fixture(params=NETWORKS)
def make(request):
    def make():
        torch.manual_seed(0)
        return NETWORKS[request.param][0]().eval()

    make.ndim = NETWORKS[request.param][1]
    return make


def draw(ndim, size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, *[size] * ndim, generator=generator, dtype=torch.float64)


def varied(supernet):
    """Another pair for every mixture, and weights and biases that show."""
    choices = [(size, dilation) for size in KERNELS for dilation in DILATIONS]
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, std=0.1)
    return {name: choices[i % 4] for i, name in enumerate(supernet.mixtures)}


def assert_close(actual, expected):
    scale = expected.abs().max()
    torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=1e-10)


def test_the_fixed_network_is_the_supernet_with_one_coefficient_each(make):
    with torch.no_grad():
        supernet = opened(make().double())
        architecture, x = varied(supernet), draw(make.ndim)
        supernet.choose(architecture)
        fixed = to_fixed(supernet, architecture)
        assert_close(fixed(x), supernet(x))
    assert not any(isinstance(module, MixedConv) for module in fixed.modules())
    for name, (size, dilation) in architecture.items():
        conv = fixed.get_submodule(name)
        assert set(conv.kernel_size) == {size}
        assert set(conv.dilation) == {dilation}


def test_the_model_handed_in_is_not_modified(make):
    model = make()
    state, types = copy.deepcopy(model.state_dict()), [type(module) for module in model.modules()]
    supernet = opened(model)
    for parameter in supernet.parameters():
        parameter.data.zero_()
    supernet.train()
    wide = apply_architecture(model, dict.fromkeys(list(supernet.mixtures)[:3], (5, 2)))
    wide.train()
    assert [type(module) for module in model.modules()] == types
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


def test_the_mixtures_stand_where_the_searchable_layers_are(make):
    model = make()
    layers, mixtures = searchable_layers(model), opened(model).mixtures
    assert list(layers) == list(mixtures)
    for name, layer in layers.items():
        mixture = mixtures[name]
        assert (mixture.in_channels, mixture.out_channels) == (layer.in_channels, layer.out_channels)
        is_square = layer.in_channels == layer.out_channels
        assert mixture.groups == (layer.in_channels if is_square else layer.groups)
        assert mixture.stride == layer.stride
        assert (mixture.bias is None) == (layer.bias is None)


def test_outputs_have_the_shape_of_those_of_the_model(make):
    model, x = make(), draw(make.ndim, 33).float()
    with torch.no_grad():
        assert opened(model)(x).shape == model(x).shape


@pytest.mark.parametrize("name", ["WideResNet1d", "WideResNet2d", "UNet1d", "UNet2d", "plain", "grouped"])
def test_gradients_reach_logits_and_weights(name):
    make, ndim = NETWORKS[name]
    torch.manual_seed(0)
    supernet = opened(make()).train()
    supernet(torch.cat([draw(ndim, 12), draw(ndim, 12).flip(-1)]).float()).square().sum().backward()
    for mixture in supernet.mixtures.values():
        assert mixture.alpha.grad.abs().min() > 0
        assert all(weight.grad.abs().sum() > 0 for weight in mixture.weights)


def test_parameters_are_logits_or_weights_and_not_both(make):
    supernet = opened(make())
    alphas, weights = ({id(parameter) for parameter in part()} for part in (supernet.alphas, supernet.weights))
    assert len(alphas) == len(supernet.mixtures)
    assert alphas.isdisjoint(weights)
    assert alphas | weights == {id(parameter) for parameter in supernet.parameters()}


class Twice(nn.Module):
    """One convolution in two places, and once more under another name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 3, 3, padding=1)
        self.other = nn.Sequential(nn.ReLU(), self.conv)

    def forward(self, x):
        return self.other(self.conv(x))


def test_strided_wide_kernels_have_right_gradients():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 32, 3, padding=1), nn.ReLU(), nn.Conv1d(32, 32, 7, stride=2, padding=3))
    supernet = to_supernet(model, (7, 9), (1, 7))
    chosen, x = {"0": (7, 1), "2": (9, 7)}, torch.randn(16, 4, 101)

    def gradients(network, x):
        network.zero_grad()
        network(x).square().mean().backward()
        return [parameter.grad for parameter in network.parameters()]

    for network in (to_fixed(supernet, chosen), apply_architecture(model, chosen)):
        assert list(network.state_dict()) == list(model.state_dict())
        actual = gradients(network, x)
        for one, other in zip(actual, gradients(copy.deepcopy(network).double(), x.double()), strict=True):
            assert float((one - other).abs().max()) <= 1e-4 * float(other.abs().max())
        again = apply_architecture(network, chosen)
        assert torch.equal(again[2].weight, network[2].weight)
        assert to_supernet(network, (7, 9), (1, 7)).mixtures.keys() == chosen.keys()


def test_a_convolution_that_is_used_twice_stays_one():
    model = Twice().double()
    supernet = to_supernet(model, KERNELS, DILATIONS)
    assert list(supernet.mixtures) == ["conv"]
    assert supernet.network.conv is supernet.network.other[1]
    fixed = to_fixed(supernet, {"conv": (5, 2)})
    assert fixed.conv is fixed.other[1]
    supernet.choose({"conv": (5, 2)})
    assert_close(fixed(draw(1)), supernet(draw(1)))
    applied = apply_architecture(model, {"conv": (5, 2)})
    assert applied.conv is applied.other[1]
    assert applied.conv.kernel_size == (5,)


def test_a_rule_that_knows_only_the_second_name_replaces_both():
    supernet = to_supernet(nn.Sequential(Twice()), KERNELS, DILATIONS, is_searched=lambda name, _: name == "0.conv")
    network = supernet.network[0]
    assert isinstance(network.other[1], MixedConv)
    assert network.conv is network.other[1]


def test_a_convolution_kept_outside_of_the_tree_of_modules_is_replaced_too():
    model = Twice()
    model.aside = [model.conv]
    network = to_supernet(model, KERNELS, DILATIONS).network
    assert network.aside[0] is network.conv
    assert model.aside[0] is model.conv


class Scaled(nn.Module):
    """A network whose calls have more than inputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1, stride=2)

    def forward(self, x, *others, scale=1.0):
        return scale * self.conv(x) + sum(others)


def test_a_supernet_is_called_as_its_network():
    supernet = to_supernet(Scaled().double().eval(), KERNELS, DILATIONS)
    assert_close(supernet(draw(1), 1.0, 2.0, scale=2.0), 2.0 * supernet(draw(1)) + 3.0)


@pytest.mark.parametrize("ndim", [1, 2])
def test_samples_without_a_batch_are_mixed(ndim):
    conv = (nn.Conv1d if ndim == 1 else nn.Conv2d)(3, 4, 3, padding=1, stride=2).double().eval()
    supernet, x = to_supernet(conv, KERNELS, DILATIONS), draw(ndim)
    assert_close(supernet(x[0]), supernet(x)[0])
    assert_close(to_fixed(supernet)(x[0]), to_fixed(supernet)(x)[0])


def test_what_is_no_network_or_no_supernet_is_named():
    with pytest.raises(InvalidArgumentError, match=r"model is str, but must be a torch\.nn\.Module"):
        to_supernet("resnet18", KERNELS, DILATIONS)
    with pytest.raises(InvalidArgumentError, match="supernet is Sequential, but must be what to_supernet made"):
        to_fixed(plain())


def test_choosing_none_mixes_again():
    supernet, x = opened(plain().double().eval()), draw(1)
    mixed = supernet(x)
    supernet.choose(dict.fromkeys(supernet.mixtures, (5, 1)))
    assert not torch.equal(supernet(x), mixed)
    supernet.choose(None)
    assert torch.equal(supernet(x), mixed)


def test_a_convolution_alone_is_a_network():
    supernet = to_supernet(nn.Conv2d(3, 2, 3, padding=1).double(), KERNELS, DILATIONS)
    assert list(supernet.mixtures) == [""]
    supernet.choose({"": (3, 2)})
    assert_close(to_fixed(supernet, {"": (3, 2)})(draw(2)), supernet(draw(2)))


@pytest.mark.parametrize("size", [1, 2, 4, 7])
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("ndim", [1, 2])
def test_kernels_of_any_size_and_stride(size, dilation, stride, ndim):
    conv = (nn.Conv1d, nn.Conv2d)[ndim - 1](3, 6, 3, stride=stride, padding=1, groups=3)
    supernet = to_supernet(conv.double(), (1, 2, 4, 7), (1, 3)).eval()
    varied(supernet)
    supernet.choose({"": (size, dilation)})
    with torch.no_grad():
        expected = supernet(draw(ndim, 11))
        assert_close(to_fixed(supernet, {"": (size, dilation)})(draw(ndim, 11)), expected)
        assert apply_architecture(conv, {"": (size, dilation)})(draw(ndim, 11)).shape == expected.shape


def test_depthwise_search_needs_as_many_outputs_as_inputs():
    model = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1))
    supernet = to_supernet(model, KERNELS, DILATIONS, is_depthwise=True)
    assert [mixture.groups for mixture in supernet.mixtures.values()] == [1, 4]
    assert to_fixed(supernet)[1].groups == 4
    assert apply_architecture(model, supernet.architecture)[1].groups == 1


def test_the_architecture_is_that_of_the_largest_logits():
    supernet = to_supernet(plain(), KERNELS, DILATIONS)
    for (row, column), alpha in zip([(1, 0), (0, 1)], supernet.alphas(), strict=True):
        alpha.data[row, column] = 1.0
    assert supernet.architecture == {"0": (5, 1), "3": (3, 2)}
    assert to_fixed(supernet)[0].kernel_size == (5,)


def test_coefficients_are_drawn_in_training_only():
    mixture = to_supernet(plain(), KERNELS, DILATIONS).mixtures["0"]
    assert not torch.equal(mixture.train().coefficients(), mixture.coefficients())
    expected = mixture.alpha.flatten().softmax(0).view(2, 2)
    torch.testing.assert_close(mixture.eval().coefficients(), expected)
    assert mixture.fields.tolist() == [[3.0, 5.0], [5.0, 9.0]]


def test_the_same_seed_opens_the_same_supernet():
    torch.manual_seed(5)
    first = to_supernet(plain(), KERNELS, DILATIONS).state_dict()
    torch.manual_seed(5)
    second = to_supernet(plain(), KERNELS, DILATIONS).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_closing_draws_nothing():
    supernet = to_supernet(grouped(), (2, 3), DILATIONS)
    before = torch.get_rng_state()
    to_fixed(supernet)
    assert torch.equal(torch.get_rng_state(), before)


def test_mode_and_type_and_place_are_kept():
    model = plain().to(torch.bfloat16).eval()
    supernet = to_supernet(model, (2, 3), DILATIONS)
    fixed, applied = to_fixed(supernet), apply_architecture(model, dict.fromkeys(supernet.mixtures, (2, 1)))
    for network in (supernet, fixed, applied):
        assert all(parameter.dtype == torch.bfloat16 for parameter in network.parameters())
    for network in (fixed, applied, supernet):
        assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("name", BACKBONES)
def test_an_architecture_of_a_narrow_network_fits_a_wide_one(name):
    network = BACKBONES[name][0]
    narrow = network()
    wide = type(narrow)(in_channels=3, num_outputs=2, width=2).eval()
    architecture = varied(to_supernet(narrow, KERNELS, DILATIONS))
    # As it comes back from a file.
    applied = apply_architecture(wide, json.loads(json.dumps(architecture)))
    for place, (size, dilation) in architecture.items():
        conv, old = applied.get_submodule(place), wide.get_submodule(place)
        assert set(conv.kernel_size) == {size}
        assert set(conv.dilation) == {dilation}
        assert (conv.in_channels, conv.out_channels, conv.stride) == (old.in_channels, old.out_channels, old.stride)
        if (size, dilation) == (old.kernel_size[0], old.dilation[0]):
            assert torch.equal(conv.weight, old.weight)
    x = draw(narrow.ndim, 16).float()
    with torch.no_grad():
        assert applied(x).shape == wide(x).shape == (1, 2)
        assert torch.isfinite(applied(x)).all()


def test_fresh_weights_keep_the_size_of_signals():
    torch.manual_seed(0)
    conv = apply_architecture(nn.Conv1d(64, 64, 3, padding=1), {"": (7, 2)})
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (64 * 7)) ** 0.5, rel=0.02)
    assert not conv.bias.any()


def test_an_oblong_kernel_is_replaced_though_its_first_side_fits():
    conv = apply_architecture(nn.Conv2d(1, 1, (3, 5), padding=(1, 2)), {"": (3, 1)})
    assert conv.kernel_size == (3, 3)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv1d(2, 2, 3, padding=1), True),
        (nn.Conv1d(2, 2, 3, padding=1, groups=2), True),
        (nn.Conv2d(2, 2, 3, padding=2, dilation=2, stride=2), True),
        (nn.Conv2d(2, 2, 5, padding="same"), True),
        (nn.Conv1d(2, 2, 1), False),
        (nn.Conv1d(2, 2, 3), False),
        (nn.Conv1d(2, 2, 3, padding="valid"), False),
        (nn.Conv1d(2, 2, 4, padding="same"), False),
        (nn.Conv1d(2, 2, 2, padding=1, dilation=2), False),
        (nn.Conv2d(2, 2, (3, 5), padding=(1, 2)), False),
        (nn.Conv2d(2, 2, 3, padding=(1, 2), dilation=(1, 2)), False),
        (nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), False),
        (nn.ConvTranspose1d(2, 2, 3, padding=1), False),
        (nn.Linear(2, 2), False),
        (type("Own", (nn.Conv1d,), {})(2, 2, 3, padding=1), False),
    ],
    ids=str,
)
def test_which_layers_are_ordinary(layer, expected):
    assert is_ordinary("layer", layer) == expected


def hooked(conv):
    conv.register_forward_hook(lambda module, inputs, output: 2 * output)
    return conv


def legacy_weight_norm(conv):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.nn.utils.weight_norm(conv)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hooked, "'0', which has hooks, as of torch.nn.utils.spectral_norm or your own, .*; leave it out"),
        (torch.nn.utils.spectral_norm, "'0', which has a weight that is computed from others"),
        (legacy_weight_norm, "'0', which has a weight that is computed from others"),
        (torch.nn.utils.parametrizations.weight_norm, "'0', which has a weight that is computed from others"),
    ],
)
def test_what_would_be_lost_is_not_searched(change, message):
    network = nn.Sequential(change(nn.Conv2d(2, 2, 3, padding=1)), nn.Conv2d(2, 2, 3, padding=1))
    assert not is_ordinary("0", network[0])
    with pytest.raises(InvalidArgumentError, match=message):
        to_supernet(network, KERNELS, DILATIONS, is_searched=lambda name, module: name == "0")
    if change is not legacy_weight_norm:
        supernet = to_supernet(network, KERNELS, DILATIONS).eval()
        assert list(supernet.mixtures) == ["1"]
        x = torch.randn(2, 2, 8, 8)
        torch.testing.assert_close(to_fixed(supernet)[0].eval()(x), network.eval()[0](x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": 1, "padding_mode": "reflect"}, "'', which has padding_mode='reflect', where searched kernels pad"),
        ({}, r"'', which has kernel_size=\(3, 3\), dilation=\(1, 1\) and padding=\(0, 0\), where .* leave it out"),
    ],
)
def test_convolutions_that_a_searched_kernel_cannot_replace_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        to_supernet(nn.Conv2d(2, 2, 3, **options), KERNELS, DILATIONS, is_searched=lambda name, module: True)


def test_what_cannot_be_copied_is_told_what_to_take_instead():
    network = nn.Sequential(legacy_weight_norm(nn.Linear(2, 2)), nn.Conv1d(2, 2, 3, padding=1))
    with pytest.raises(
        InvalidArgumentError, match=r"Sequential cannot be copied .*utils\.parametrizations\.weight_norm"
    ):
        to_supernet(network, KERNELS, DILATIONS)


def test_frozen_convolutions_stay_as_they_are_unless_they_are_chosen():
    network = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1).requires_grad_(False), nn.Conv1d(2, 2, 3, padding=1))
    supernet = to_supernet(network, KERNELS, DILATIONS)
    assert list(supernet.mixtures) == ["1"]
    assert not supernet.network[0].weight.requires_grad
    chosen = to_supernet(network, KERNELS, DILATIONS, is_searched=lambda name, module: name == "0")
    assert all(weight.requires_grad for weight in chosen.mixtures["0"].parameters())


@pytest.mark.parametrize(
    ("kernels", "options", "message"),
    [
        ((), {}, r"kernel_sizes=\(\) must be different whole numbers"),
        ((3, 3), {}, r"kernel_sizes=\(3, 3\) must be different"),
        (3, {}, r"kernel_sizes=3 must be several whole numbers, such as \(3, 5\)"),
        ((3, 0), {}, r"kernel_sizes\[1\] is 0, but must be an integer of at least 1"),
        ((3, 2.5), {}, r"kernel_sizes\[1\] is 2.5, but must be an integer"),
        ((3,), {"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ((3,), {"is_searched": lambda name, module: False}, "Sequential has no convolution to search"),
        ((3,), {"is_searched": lambda name, module: name == "1"}, "is_searched chooses '1', a BatchNorm1d, but only"),
    ],
)
def test_what_cannot_be_opened(kernels, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        to_supernet(plain(), kernels, DILATIONS, **options)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"0": (3, 1)}, r"must name every mixture and nothing else, but differs in \['3'\]"),
        ({"0": (3, 1), "3": (3, 1), "x": (3, 1)}, r"differs in \['x'\]"),
        ({"0": (3, 1), "3": (7, 1)}, r"gives \(7, 1\) for '3', but candidates are kernel sizes \(3, 5\)"),
        ({"0": (3, 1), "3": (3, 3)}, r"gives \(3, 3\) for '3', .* dilations \(1, 2\)"),
        ({"0": (3, 1), "3": (3,)}, r"gives \(3,\) for '3', but must give \(kernel size, dilation\)"),
    ],
)
def test_architectures_that_do_not_fit(architecture, message):
    supernet = to_supernet(plain(), KERNELS, DILATIONS)
    for use in (supernet.choose, lambda given: to_fixed(supernet, given)):
        with pytest.raises(InvalidArgumentError, match=message):
            use(architecture)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"0": (3, 1), "9.conv": (3, 1)}, "does not fit Sequential, which has no convolution '9.conv'"),
        ({"1": (3, 1)}, "has no convolution '1'"),
        ({"0": (0, 1)}, r"architecture\['0'\]\[0\] is 0, but must be an integer of at least 1"),
        ({"0": "31"}, "gives '31' for '0', but must give"),
    ],
)
def test_architectures_that_cannot_be_applied(architecture, message):
    with pytest.raises(InvalidArgumentError, match=message):
        apply_architecture(plain(), architecture)


def test_no_warning_leaves():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        supernet = to_supernet(grouped(), (2, 3), DILATIONS)
        to_fixed(supernet)(draw(2).float())
        supernet(draw(2).float())
