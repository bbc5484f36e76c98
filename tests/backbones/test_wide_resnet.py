import pytest
import torch
from torch.nn import functional

from dasha.backbones import AlignedResNet1d, PeakResNet1d, WideResNet1d, WideResNet2d
from dasha.backbones.heads import AlignedHead, PeakHead, VectorHead
from dasha.errors import InvalidArgumentError


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def wide_resnet_parameters(depth, width, in_channels, num_outputs):
    """Count the parameters of WRN-depth-width from table 1 of arXiv 1605.07146."""
    blocks, before = (depth - 4) // 6, 16
    total = 9 * in_channels * 16
    for channels, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
        total += 9 * before * channels + (2 * blocks - 1) * 9 * channels**2
        total += 2 * before + 2 * (2 * blocks - 1) * channels
        total += before * channels if stride > 1 or before != channels else 0
        before = channels
    return total + 2 * before + (before + 1) * num_outputs


@pytest.mark.parametrize(
    ("depth", "width", "published"), [(16, 1, None), (22, 8, 17.2), (28, 10, 36.5), (16, 8, 11.0), (40, 1, 0.6)]
)
def test_parameters_of_the_networks_of_the_paper(depth, width, published):
    with torch.device("meta"):
        total = count(WideResNet2d(in_channels=3, num_outputs=10, depth=depth, width=width))
    assert total == wide_resnet_parameters(depth, width, 3, 10)
    assert published is None or round(total / 1e6, 1) == published


def test_wrn_28_10_has_exactly_the_parameters_of_other_implementations():
    with torch.device("meta"):
        assert count(WideResNet2d(in_channels=3, num_outputs=10, depth=28, width=10)) == 36_479_194


def plain_wide_resnet(weights, x):
    """WRN-10-2 in evaluation, written out."""

    def active(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.relu(functional.batch_norm(x, *(weights[f"{name}.{n}"] for n in names)))

    x = functional.conv2d(x, weights["stem.weight"], padding=1)
    for group, stride in enumerate((1, 2, 2)):
        block = f"groups.{group}.0"
        before = active(x, f"{block}.norm1")
        y = functional.conv2d(before, weights[f"{block}.conv1.weight"], stride=stride, padding=1)
        y = functional.conv2d(active(y, f"{block}.norm2"), weights[f"{block}.conv2.weight"], padding=1)
        x = y + functional.conv2d(before, weights[f"{block}.shortcut.weight"], stride=stride)
    features = active(x, "activations.0.0").mean((2, 3))
    return functional.linear(features, weights["head.linear.weight"], weights["head.linear.bias"])


def test_the_network_for_images_equals_the_one_written_out():
    network = WideResNet2d(in_channels=3, num_outputs=4, depth=10, width=2, dropout=0.3).double()
    x = torch.randn(5, 3, 15, 10, dtype=torch.float64)
    network(x)
    torch.testing.assert_close(network.eval()(x), plain_wide_resnet(network.state_dict(), x))


def test_scales_are_at_strides_1_2_and_4():
    network = WideResNet2d(in_channels=3, num_outputs=4, depth=10, width=2, output="dense")
    shapes = [features.shape[1:] for features in network.features(torch.zeros(1, 3, 17, 8))]
    assert shapes == [(32, 17, 8), (64, 9, 4), (128, 5, 2)]


def test_scores_of_all_scales_are_enlarged_and_added():
    network = WideResNet2d(in_channels=3, num_outputs=4, depth=10, width=1, output="dense").eval()
    x = torch.randn(2, 3, 9, 8)
    expected = sum(
        functional.interpolate(score(features), size=(9, 8), mode="bilinear")
        for score, features in zip(network.head.scores, network.features(x), strict=True)
    )
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("depth", [4, 11, 0, 16.0, "16"])
def test_depths_that_do_not_exist(depth):
    with pytest.raises(InvalidArgumentError, match=rf"^depth is {depth!r}, but must be 6 n \+ 4"):
        WideResNet2d(in_channels=3, num_outputs=2, depth=depth)


def sequence_parameters(width, kernel_sizes, in_channels, num_outputs):
    first, second, third = kernel_sizes
    before, total = in_channels, 0
    for channels in (16 * width, 32 * width, 32 * width):
        total += channels * (before * first + channels * (second + third)) + 3 * 2 * channels
        total += before * channels + 2 * channels if before != channels else 0
        before = channels
    return total + (before + 1) * num_outputs


@pytest.mark.parametrize(
    ("kernel_sizes", "millions"), [((3, 3, 3), 1.2), ((11, 7, 5), 2.9), ((11, 11, 11), 4.4), ((1, 1, 1), 0.4)]
)
def test_parameters_of_the_network_for_sequences(kernel_sizes, millions):
    with torch.device("meta"):
        total = count(WideResNet1d(in_channels=4, num_outputs=2, width=8, kernel_sizes=kernel_sizes))
    assert total == sequence_parameters(8, kernel_sizes, 4, 2)
    assert round(total / 1e6, 1) == millions


@pytest.mark.parametrize("block", [0, 1, 2])
def test_every_block_has_a_skip(block):
    network = WideResNet1d(in_channels=4, num_outputs=2, width=1).eval()
    block = network.blocks[block]
    torch.nn.init.zeros_(block.norm3.weight)
    x = torch.randn(2, block.conv1.in_channels, 20)
    torch.testing.assert_close(block(x), functional.relu(block.shortcut(x)))
    assert block(x).abs().sum() > 0


def test_outputs_of_a_sequence_reach_both_ways_as_far_as_the_kernels():
    network = WideResNet1d(in_channels=1, num_outputs=1, width=1, output="dense").eval()
    x = torch.randn(1, 1, 101, requires_grad=True)
    network(x)[0, 0, 50].backward()
    reached = x.grad[0, 0].nonzero().flatten()
    reach = 3 * (10 + 6 + 4) // 2
    assert 50 - reach <= reached.min() < 50 < reached.max() <= 50 + reach
    assert 50 - reached.min() > reach - 5
    assert reached.max() - 50 > reach - 5


@pytest.mark.parametrize(
    ("kernel_sizes", "message"),
    [
        ((7, 5), r"^kernel_sizes is \(7, 5\), but must be three odd"),
        ((8, 5, 3), r"^kernel_sizes is 8, but must be o"),
    ],
)
def test_kernel_sizes_that_are_not_allowed(kernel_sizes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        WideResNet1d(in_channels=4, num_outputs=2, kernel_sizes=kernel_sizes)


def test_one_place_is_the_mean_over_all_positions():
    features = torch.randn(3, 6, 11, dtype=torch.float64)
    aligned, plain = AlignedHead(6, 4, places=1).double(), VectorHead([6], 4).double()
    plain.load_state_dict(aligned.state_dict())
    torch.testing.assert_close(aligned(features), plain(features))


def test_averages_are_taken_around_places_from_the_first_position_to_the_last():
    head = AlignedHead(1, 3, places=3).double()
    head.linear.weight.data, head.linear.bias.data = torch.eye(3).double(), torch.zeros(3).double()
    # Places at positions 0, 2 and 4; a position between two places counts half for each.
    weights = torch.tensor([[1, 0.5, 0, 0, 0], [0, 0.5, 1, 0.5, 0], [0, 0, 0, 0.5, 1]]).double()
    features = torch.tensor([[[3.0, 1, 4, 1, 5]]]).double()
    expected = features[:, 0] @ (weights / weights.sum(1, keepdim=True)).T
    torch.testing.assert_close(head(features), expected)
    torch.testing.assert_close(head(features.flip(-1)), expected.flip(-1))


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9])
def test_sequences_shorter_than_the_places_pass(length):
    network = AlignedResNet1d(in_channels=4, num_outputs=2, width=1).eval()
    outputs = network(torch.randn(3, 4, length))
    assert outputs.shape == (3, 2)
    assert outputs.isfinite().all()


def test_places_tell_apart_what_a_mean_cannot():
    bump = torch.zeros(2, 1, 400)
    bump[0, 0, 100:110] = bump[1, 0, 290:300] = 1
    plain, aligned = (
        network(in_channels=1, num_outputs=1, width=1).eval() for network in (WideResNet1d, AlignedResNet1d)
    )
    torch.testing.assert_close(*plain(bump))
    assert aligned(bump).diff(dim=0).abs().item() > 1e-3


def test_a_peak_counts_the_same_wherever_and_however_often_it_is():
    torch.manual_seed(0)
    network = PeakResNet1d(in_channels=1, num_outputs=2, width=1).eval()
    bumps = torch.zeros(4, 1, 400)
    bumps[0, 0, 100:110] = bumps[1, 0, 290:300] = 1
    bumps[2, 0, 100:110] = bumps[2, 0, 290:300] = 1
    once, elsewhere, twice, never = network(bumps)
    torch.testing.assert_close(elsewhere, once)
    torch.testing.assert_close(twice, once)
    assert (never - once).abs().max() > 1e-3
    assert WideResNet1d(in_channels=1, num_outputs=2, width=1).eval()(bumps).diff(dim=0)[1].abs().max() > 1e-3


@pytest.mark.parametrize("length", [1, 2, 7, 3000])
def test_the_peak_is_the_largest_value_at_any_length(length):
    head, features = PeakHead(3, 2), torch.randn(5, 3, length)
    torch.testing.assert_close(head(features), head.linear(features.amax(-1)))
    outputs = PeakResNet1d(in_channels=4, num_outputs=2, width=1).eval()(torch.randn(3, 4, length))
    assert outputs.shape == (3, 2)
    assert outputs.isfinite().all()


def test_a_peak_has_no_output_at_every_position():
    with pytest.raises(
        InvalidArgumentError, match=r"output is 'dense', but PeakResNet1d .* take WideResNet1d or UNet1d"
    ):
        PeakResNet1d(in_channels=4, num_outputs=2, output="dense")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"places": 0}, "places"),
        ({"places": 2.5}, "places"),
        ({"output": "dense"}, r"output is 'dense', but AlignedResNet1d .* take WideResNet1d or UNet1d"),
    ],
)
def test_what_an_aligned_network_cannot_be_is_refused(arguments, match):
    with pytest.raises(InvalidArgumentError, match=match):
        AlignedResNet1d(**{"in_channels": 4, "num_outputs": 2, **arguments})
