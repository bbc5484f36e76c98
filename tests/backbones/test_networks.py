"""What holds for all four networks and is not a rule for other people's."""

from collections import Counter

import pytest
import torch
from torch import nn

from dasha.backbones import UNet1d, UNet2d, WideResNet1d, WideResNet2d, check_input, searchable_layers
from dasha.errors import InvalidArgumentError

NETWORKS = (WideResNet1d, WideResNet2d, UNet1d, UNet2d)
OUTPUTS = ("vector", "dense")


@pytest.fixture(params=NETWORKS, ids=lambda network: network.__name__)
def network_class(request):
    return request.param


@pytest.fixture
def make(network_class):
    def make(**arguments):
        return network_class(**{"in_channels": 3, "num_outputs": 5, "width": 1, **arguments})

    return make


@pytest.fixture
def draw(network_class):
    """Draw an input of the given size along every axis."""

    def draw(size, *, batch=2):
        generator = torch.Generator().manual_seed(size)
        return torch.randn(batch, 3, *[size] * network_class.ndim, generator=generator)

    return draw


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 17, 32])
def test_any_size_passes_through(make, draw, output, size):
    x = draw(size)
    y = make(output=output).eval()(x)
    assert y.shape == ((2, 5) if output == "vector" else (2, 5, *x.shape[2:]))
    assert y.isfinite().all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_activation_is_a_module_that_is_used_once(make, draw, output):
    network, calls = make(output=output), Counter()
    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    y = network(draw(16))
    leaves = {name for name, module in network.named_modules() if not list(module.children())}
    assert calls == Counter(leaves)
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert count_nodes(y.grad_fn)["ReluBackward0"] == len(relus) > 0
    assert not any(module.inplace for module in relus)


def count_nodes(node):
    """Count the operations of an autograd graph by name."""
    seen, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return Counter(node.name() for node in seen)


@pytest.mark.parametrize("output", OUTPUTS)
def test_kernels_are_centred(make, draw, output):
    """With all kernels mirrored, the output of the mirrored input is the mirrored output: nothing is causal."""
    network = make(output=output).double().eval()
    x = draw(33 if isinstance(network, WideResNet1d | WideResNet2d) else 32).double()
    axes = tuple(range(2, x.ndim))
    y = network(x)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            module.weight.data = module.weight.data.flip(axes)
    mirrored = network(x.flip(axes))
    torch.testing.assert_close(mirrored, y.flip(axes) if output == "dense" else y)


def test_searchable_layers_have_the_same_names_for_every_width(make):
    with torch.device("meta"):
        names = [list(searchable_layers(make(width=width))) for width in (1, 4, 8)]
    assert names[0] == names[1] == names[2]
    assert not any(word in name for name in names[0] for word in ("head", "shortcut"))


@pytest.mark.parametrize("output", OUTPUTS)
def test_kernels_found_on_a_narrow_network_fit_into_a_wide_one(make, draw, output):
    choices = [(1, 1), (3, 7), (9, 1), (5, 15)]
    architecture = {name: choices[i % 4] for i, name in enumerate(searchable_layers(make(output=output)))}
    wide, x = make(output=output, width=2).eval(), draw(11)
    before = wide(x).shape
    for name, (kernel_size, dilation) in architecture.items():
        old = wide.get_submodule(name)
        padding = dilation * (kernel_size - 1) // 2
        new = type(old)(
            old.in_channels, old.out_channels, kernel_size, stride=old.stride, padding=padding, dilation=dilation
        )
        parent, _, leaf = name.rpartition(".")
        setattr(wide.get_submodule(parent), leaf, new)
    assert wide(x).shape == before
    assert list(searchable_layers(wide)) == [name for name, (kernel_size, _) in architecture.items() if kernel_size > 1]


def test_everything_but_heads_and_matching_of_channels_is_searchable(make):
    network = make(output="dense")
    convolutions = {name for name, module in network.named_modules() if isinstance(module, nn.Conv1d | nn.Conv2d)}
    rest = convolutions - set(searchable_layers(network))
    assert all("shortcut" in name or name.startswith("head.") for name in rest)


@pytest.mark.parametrize(
    "options",
    [{"padding": 0}, {"padding": 1, "dilation": 2}, {"padding": 1, "padding_mode": "circular"}],
)
def test_a_convolution_that_is_not_centred_with_zeros_is_not_searchable(options):
    layers = nn.ModuleDict({"odd": nn.Conv1d(2, 2, 3, **options), "plain": nn.Conv1d(2, 2, 3, padding=1)})
    assert list(searchable_layers(layers)) == ["plain"]


def test_oblong_kernels_are_not_searchable_and_grouped_ones_are():
    layers = nn.Sequential(nn.Conv2d(2, 2, (3, 5), padding=(1, 2)), nn.Conv2d(2, 2, 3, padding="same", groups=2))
    assert list(searchable_layers(layers)) == ["1"]


def test_signals_start_with_a_usual_size(make, draw):
    torch.manual_seed(0)
    for output in OUTPUTS:
        spread = make(output=output, width=2, num_outputs=50)(draw(32, batch=8)).std()
        assert 0.2 < spread < 3


def test_dropout_is_where_it_can_be_tuned_later(make):
    drops = [module for module in make(dropout=0.25).modules() if isinstance(module, nn.Dropout)]
    assert drops
    assert {module.p for module in drops} == {0.25}
    assert len([module for module in make().modules() if isinstance(module, nn.Dropout)]) == len(drops)


def test_parameters_as_one_vector(make, draw):
    network, other, x = make().eval(), make().eval(), draw(9)
    vector = nn.utils.parameters_to_vector(network.parameters())
    nn.utils.vector_to_parameters(vector, other.parameters())
    assert torch.equal(other(x), network(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, r"^in_channels is 0, but must be an integer of at least 1$"),
        ({"num_outputs": 2.5}, r"^num_outputs is 2.5, but must be an integer of at least 1$"),
        ({"width": True}, r"^width is True, but must be an integer of at least 1$"),
        ({"output": "map"}, r"^output is 'map', but must be 'vector' or 'dense'$"),
        ({"dropout": 1.0}, r"^dropout is 1.0, but must be at least 0 and below 1$"),
        ({"dropout": float("nan")}, r"^dropout is nan, but must be"),
        ({"dropout": "0.1"}, r"^dropout is '0.1', but must be"),
    ],
)
def test_arguments_that_are_not_allowed(make, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            torch.zeros(2, 4, 9),
            r"has 4 channels, its shape is \(2, 4, 9\), but must have 3, \(N, 3, L\); make the n",
        ),
        (torch.zeros(3, 9), r"shape \(3, 9\), but must have 3 axes, \(N, 3, L\); a single input needs .* x\[None\]"),
        (torch.zeros(2, 3, 9, 9), r"has shape \(2, 3, 9, 9\), but must have 3 axes"),
        (torch.zeros(2, 3, 0), r"has shape \(2, 3, 0\), but no axis of \(N, 3, L\) may be empty"),
        (torch.zeros(2, 3, 9, dtype=torch.int8), r"is torch.int8, but must be of a floating type; pass x.float\(\)"),
    ],
)
def test_inputs_that_are_not_allowed(x, message):
    with pytest.raises(InvalidArgumentError, match=message):
        check_input(x, in_channels=3, ndim=1)


def test_images_are_checked_by_their_own_axes():
    with pytest.raises(InvalidArgumentError, match=r"must have 4 axes, \(N, 13, H, W\)"):
        WideResNet2d(in_channels=13, num_outputs=2, depth=10, width=1)(torch.zeros(13, 8, 8))
