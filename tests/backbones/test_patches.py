from functools import partial

import pytest
import torch

from dasha.backbones import UNet1d, UNet2d, WideResNet1d, WideResNet2d
from dasha.backbones.patches import from_patches, to_patches
from dasha.errors import InvalidArgumentError
from dasha.testing import check_backbone


@pytest.mark.parametrize("shape", [(12,), (13,), (1,), (12, 8), (13, 7), (1, 5)])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_patches_lose_nothing(shape, size):
    x = torch.randn(2, 3, *shape)
    patches = to_patches(x, size)
    assert patches.shape == (2, 3 * size ** len(shape), *(-(-length // size) for length in shape))
    assert torch.equal(from_patches(patches, size, x.shape[2:]), x)


def test_a_patch_holds_neighbours():
    patches = to_patches(torch.arange(6.0).view(1, 1, 6), 2)
    assert patches[0].T.tolist() == [[0, 1], [2, 3], [4, 5]]
    image = to_patches(torch.arange(16.0).view(1, 1, 4, 4), 2)
    assert image[0, :, 0, 1].tolist() == [2, 3, 6, 7]


@pytest.mark.parametrize("network", [WideResNet1d, WideResNet2d, UNet1d, UNet2d])
def test_networks_of_patches_keep_the_rules(network):
    check_backbone(partial(network, patch_size=3), ndim=network.ndim)


def test_patches_have_a_size():
    with pytest.raises(InvalidArgumentError, match="patch_size"):
        WideResNet2d(in_channels=3, num_outputs=2, patch_size=0)
