from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from dasha.backbones import UNet1d, UNet2d
from dasha.backbones.layers import resize
from dasha.errors import InvalidArgumentError


def unet_parameters(channels, taps, in_channels, num_outputs):
    """Count the parameters of a U-Net with a dense head, ``taps`` in every kernel."""

    def double(before, after):
        return taps * after * (before + after) + 4 * after

    encoder = sum(double(before, after) for before, after in pairwise([in_channels, *channels]))
    decoder = sum(double(fine + coarse, fine) for fine, coarse in pairwise(channels))
    return encoder + decoder + (channels[0] + 1) * num_outputs


@pytest.mark.parametrize(
    ("network", "channels", "taps"),
    [
        (UNet1d(in_channels=4, num_outputs=3, output="dense"), (64, 128, 256, 512), 7),
        (UNet2d(in_channels=4, num_outputs=3, output="dense", width=2, levels=3, kernel_size=5), (32, 64, 128), 25),
    ],
    ids=["1d", "2d"],
)
def test_parameters(network, channels, taps):
    assert sum(parameter.numel() for parameter in network.parameters()) == unet_parameters(channels, taps, 4, 3)


@pytest.mark.parametrize("levels", [2, 3, 6])
def test_levels_halve_the_size_rounding_up(levels):
    network = UNet1d(in_channels=1, num_outputs=1, width=1, levels=levels).eval()
    fine, bottom = network.features(torch.zeros(1, 1, 21))
    assert fine.shape == (1, 16, 21)
    assert bottom.shape == (1, 16 * 2 ** (levels - 1), [21, 11, 6, 3, 2, 1][levels - 1])


def test_the_last_values_of_an_odd_length_reach_the_bottom():
    network = UNet1d(in_channels=1, num_outputs=1, width=1, levels=2, kernel_size=1).eval()
    x = torch.randn(1, 1, 9, requires_grad=True)
    network.features(x)[1][..., -1].sum().backward()
    assert x.grad[0, 0, -1] != 0


def test_a_vector_is_read_from_the_decoder_and_from_the_bottom():
    network = UNet2d(in_channels=1, num_outputs=5, width=1).eval()
    x = torch.randn(2, 1, 9, 7)
    averages = torch.cat([features.mean((2, 3)) for features in network.features(x)], dim=1)
    assert averages.shape == (2, 16 + 128)
    torch.testing.assert_close(network(x), network.head.linear(averages))


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 5), (3, 5), (4, 8), (5, 5), (7, 3)])
def test_sequences_are_interpolated_linearly(before, after):
    x = torch.randn(2, 3, before)
    expected = functional.interpolate(x, size=after, mode="linear", align_corners=False)
    torch.testing.assert_close(resize(x, like=torch.zeros(1, 1, after)), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, r"^levels is 1, but must be an integer of at least 2$"),
        ({"kernel_size": 4}, r"^kernel_size is 4, but must be odd, so that the kernel has a centre$"),
        ({"kernel_size": 0}, r"^kernel_size is 0, but must be an integer of at least 1$"),
    ],
)
def test_options_that_are_not_allowed(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        UNet2d(in_channels=1, num_outputs=1, **options)
