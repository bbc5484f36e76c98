"""Networks computed with channels last."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from dasha.backbones import AlignedResNet1d, PeakResNet1d, UNet1d, UNet2d, WideResNet1d, WideResNet2d
from dasha.search.layout import ChannelsLast, RightGradients, fast_under_autocast


def with_gradients(network, x, *, is_last):
    network, x = copy.deepcopy(network), x.clone().requires_grad_()
    torch.manual_seed(0)
    if is_last:
        with ChannelsLast():
            output = network(x)
    else:
        output = network(x)
    output.square().sum().backward()
    return [output, x.grad, *(parameter.grad for parameter in network.parameters()), *network.buffers()]


def assert_same(network, x):
    network = network.double()
    for one, other in zip(
        with_gradients(network, x, is_last=True), with_gradients(network, x, is_last=False), strict=True
    ):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("conv", [nn.Conv1d, nn.Conv2d])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 3},
        {"dilation": 3, "padding": "same"},
        {"padding": "valid", "bias": False},
        {"groups": 2, "padding": 1},
        {"groups": 4, "padding": (2,), "dilation": (2,), "stride": (3,)},
        {"padding": 2, "padding_mode": "circular"},
    ],
)
@pytest.mark.parametrize("size", [7, 16])
def test_convolutions_are_the_same(conv, options, size):
    ndim = 1 if conv is nn.Conv1d else 2
    options = {name: value * ndim if isinstance(value, tuple) else value for name, value in options.items()}
    assert_same(conv(4, 8, 3, **options), torch.randn(3, 4, *(size, size + 2)[:ndim], dtype=torch.float64))


@pytest.mark.parametrize("shape", [(4, 9), (4, 8, 9)])
def test_samples_without_a_batch_are_the_same(shape):
    conv = nn.Conv1d if len(shape) == 2 else nn.Conv2d
    assert_same(conv(4, 8, 3), torch.randn(shape, dtype=torch.float64))


def test_vectors_are_normalised_as_ever():
    assert_same(nn.BatchNorm1d(4), torch.randn(5, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("backbone", "shape"),
    [
        (WideResNet1d, (5, 3, 33)),
        (AlignedResNet1d, (5, 3, 33)),
        (PeakResNet1d, (5, 3, 33)),
        (UNet1d, (5, 3, 33)),
        (WideResNet2d, (5, 3, 17, 12)),
        (UNet2d, (5, 3, 17, 12)),
    ],
)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_backbones_are_the_same(backbone, shape, dropout):
    torch.manual_seed(1)
    network = backbone(in_channels=3, num_outputs=2, width=1, dropout=0.0)
    assert_same(network, torch.randn(shape, dtype=torch.float64))
    if dropout:
        dropping = backbone(in_channels=3, num_outputs=2, width=1, dropout=dropout)
        outputs = with_gradients(dropping, torch.randn(shape), is_last=True)
        assert all(bool(value.isfinite().all()) for value in outputs)


def test_what_follows_a_convolution_keeps_the_order():
    network = nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 5, 3))
    with ChannelsLast():
        sequences = network(torch.randn(2, 3, 9))
    assert sequences.transpose(1, 2).is_contiguous()
    with ChannelsLast():
        images = nn.Conv2d(3, 4, 3)(torch.randn(2, 3, 9, 9))
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("is_reduced", [True, False])
def test_the_order_changes_under_autocast_alone(is_reduced):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_reduced), fast_under_autocast(torch.device("cpu")):
        sequences = nn.Conv1d(3, 4, 3)(torch.randn(2, 3, 9))
    assert sequences.transpose(1, 2).is_contiguous() == is_reduced


def convolved(x, weight, *, is_last, **options):
    """Outputs, and gradients of inputs and weights, in bfloat16 or in float64."""
    if not is_last:
        x, weight = x.double(), weight.double()
        options = {name: value.double() if name == "bias" else value for name, value in options.items()}
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    convolve = functional.conv1d if x.ndim == 3 else functional.conv2d
    if is_last:
        junk = [torch.full((size,), float("nan")) for size in (1000, 20_000, 300_000)]
        del junk  # what reads memory that is not its own finds this
        with ChannelsLast(), torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = convolve(x, weight, **options)
    else:
        outputs = convolve(x, weight, **options)
    summed = (outputs if outputs.dtype == torch.float64 else outputs.float()).square().sum()
    return [outputs.detach().float(), *torch.autograd.grad(summed, [x, weight])]


NARROW = [
    *[(size, stride) for size in [(1, 1), (2, 1), (6, 2), (32, 2), (64, 1)] for stride in (2, 3, (1, 2), (2, 1))],
    *[((32, 3), 3), ((8, 8), 2), ((1,), 2), ((2,), 2), ((2,), 3), ((3,), 4), ((9,), 2)],
]


@pytest.mark.parametrize(("size", "stride"), NARROW)
@pytest.mark.parametrize("kernel", [3, 7])
def test_narrow_inputs_are_convolved_in_bfloat16_without_garbage(size, stride, kernel):
    torch.manual_seed(0)
    x, weight = torch.randn(8, 64, *size), torch.randn(64, 64, *len(size) * (kernel,)) / (8 * kernel)
    options = {"stride": stride, "padding": kernel // 2, "bias": torch.randn(64)}
    low, full = (convolved(x, weight, is_last=is_last, **options) for is_last in (True, False))
    for one, other in zip(low, full, strict=True):
        assert float((one - other).abs().max()) <= 0.02 * float(other.abs().max())


@pytest.mark.parametrize(("channels", "kernel"), [(4, 16), (6, 16), (8, 8), (8, 12), (12, 8), (4, 24), (3, 32)])
@pytest.mark.parametrize(("size", "stride"), [((100,), 1), ((100,), 2), ((9, 64), (1, 3))])
def test_wide_kernels_of_few_channels_are_convolved_in_bfloat16_without_garbage(channels, kernel, size, stride):
    torch.manual_seed(0)
    x, weight = torch.randn(2, channels, *size), torch.randn(8, channels, *(len(size) - 1) * (2,), kernel) / 10
    options = {"stride": stride, "padding": (kernel - 1) // 2}
    low, full = (convolved(x, weight, is_last=is_last, **options) for is_last in (True, False))
    for one, other in zip(low, full, strict=True):
        assert float((one - other).abs().max()) <= 0.03 * float(other.abs().max())


STRIDED = [
    (64, 3, 15, 2),
    (64, 7, 5, 2),
    (101, 9, 7, 2),
    (65, 11, 3, 2),
    (90, 11, 5, 3),
    (206, 3, 15, 5),
    (64, 5, 7, 2),
]


@pytest.mark.parametrize(("length", "kernel", "dilation", "stride"), STRIDED)
def test_strided_wide_kernels_have_right_gradients_in_bfloat16(length, kernel, dilation, stride):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 32, length), torch.randn(32, 32, kernel) / (32 * kernel) ** 0.5
    options = {"stride": stride, "padding": dilation * (kernel // 2), "dilation": dilation}
    low, full = (convolved(x, weight, is_last=is_last, **options) for is_last in (True, False))
    for one, other in zip(low, full, strict=True):
        assert float((one - other).abs().max()) <= 0.03 * float(other.abs().max())


@pytest.mark.parametrize(("length", "kernel", "dilation", "stride"), [*STRIDED, (128, 11, 7, 4), (70, 4, 15, 2)])
@pytest.mark.parametrize("channels", [2, 32])
@pytest.mark.parametrize("context", [RightGradients, ChannelsLast])
@pytest.mark.parametrize("height", [None, 5])
def test_strided_wide_kernels_have_right_gradients(length, kernel, dilation, stride, channels, context, height):
    torch.manual_seed(0)
    rows = [] if height is None else [height]
    x, weight = torch.randn(4, channels, *rows, length), torch.randn(channels, channels, *len(rows) * [1], kernel)
    around = dilation * (kernel - 1) // 2
    steps = [[*len(rows) * [1], step] for step in (stride, dilation)]
    options = {"stride": steps[0], "padding": [*len(rows) * [0], around], "dilation": steps[1]}

    def gradients(dtype):
        values, kernels = x.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()
        outputs = (functional.conv2d if rows else functional.conv1d)(values, kernels, **options)
        return torch.autograd.grad(outputs.square().sum(), [values, kernels])

    expected = gradients(torch.float64)
    with context():
        actual = gradients(torch.float32)
    for one, other in zip(actual, expected, strict=True):
        assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "is_exact"),
    [
        ((9, 2), 2, 1, True),
        ((9, 1), 1, 1, False),
        ((9, 3), 2, 1, False),
        ((9, 1), (2, 1), 1, True),
        ((1, 9), 2, 1, False),
        ((9, 64), 2, 15, False),
        ((64,), 2, 14, False),
        ((64,), 2, 15, False),
        ((64,), 1, 15, False),
    ],
)
def test_only_what_goes_wrong_in_bfloat16_is_computed_in_float32(size, stride, dilation, is_exact):
    torch.manual_seed(0)
    conv = nn.Conv1d if len(size) == 1 else nn.Conv2d
    layer, x = conv(8, 16, 3, stride=stride, padding=dilation, dilation=dilation), torch.randn(4, 8, *size)
    with torch.no_grad(), ChannelsLast():
        full = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = layer(x)
    assert outputs.dtype == torch.bfloat16
    assert torch.equal(outputs, full.bfloat16()) == is_exact
