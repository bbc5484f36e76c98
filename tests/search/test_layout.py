"""Networks computed with channels last."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dasha.backbones import AlignedResNet1d, PeakResNet1d, UNet1d, UNet2d, WideResNet1d, WideResNet2d
from dasha.search.layout import ChannelsLast, fast_under_autocast


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
