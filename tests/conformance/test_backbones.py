"""The shipped suite over every registered backbone, and over backbones that break one rule each."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import dasha
from dasha.backbones import check_input
from dasha.errors import InvalidArgumentError
from dasha.testing import check_backbone

BACKBONES = dasha.get_manager().backbones


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_registered_backbones_conform(name):
    check_backbone(BACKBONES[name])


def test_the_networks_of_the_core_are_registered_and_say_their_axes():
    names = BACKBONES.names_of("dasha")
    assert {name: BACKBONES[name].ndim for name in names} == {
        "aligned_resnet_1d": 1,
        "peak_resnet_1d": 1,
        "unet_1d": 1,
        "unet_2d": 2,
        "wide_resnet_1d": 1,
        "wide_resnet_2d": 2,
    }


class Small(nn.Module):
    """Keeps to every rule."""

    ndim = 1

    def __init__(self, *, in_channels, num_outputs, output, width, dropout):
        super().__init__()
        if output not in ("vector", "dense"):
            raise InvalidArgumentError("output")
        self.in_channels, self.dense = in_channels, output == "dense"
        self.conv = nn.Conv1d(in_channels, 16 * width, 9, padding=4)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.head = nn.Conv1d(16 * width, num_outputs, 1)

    def forward(self, x):
        check_input(x, in_channels=self.in_channels, ndim=1)
        outputs = self.head(self.drop(self.act(self.conv(x))))
        return outputs if self.dense else outputs.mean(-1)


class IsNoModule:
    ndim = 1

    def __init__(self, **arguments):
        pass

    def train(self):
        return self


class SaysNoAxes(Small):
    ndim = None


class ForgetsToPool(Small):
    def forward(self, x):
        y = super().forward(x)
        return y if self.dense else y[..., None]


class HalvesTheResolution(Small):
    def forward(self, x):
        y = super().forward(x)
        return nn.functional.max_pool1d(y, 2) if self.dense else y


class TakesEvenSizesOnly(Small):
    def forward(self, x):
        y = super().forward(x)
        if not self.dense:
            return y
        return nn.functional.max_pool1d(y, 2).repeat_interleave(2, dim=-1)


class ReturnsATuple(Small):
    def forward(self, x):
        return (super().forward(x),)


class IsNotFinite(Small):
    def forward(self, x):
        return super().forward(x) * float("nan")


class FailsOnSmallInputs(Small):
    def forward(self, x):
        return super().forward(x) + nn.functional.max_pool1d(x, 4).mean()


class WritesIntoItsInput(Small):
    def forward(self, x):
        check_input(x, in_channels=self.in_channels, ndim=1)
        return super().forward(x.mul_(0.5))


class DropsInEvaluation(Small):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.1, training=True))


class LooksAtTheBatch(Small):
    def forward(self, x):
        check_input(x, in_channels=self.in_channels, ndim=1)
        return super().forward(x - x.mean(0))


class IgnoresDropout(Small):
    def __init__(self, **arguments):
        super().__init__(**{**arguments, "dropout": 0.0})


class AlwaysDrops(Small):
    def __init__(self, **arguments):
        super().__init__(**{**arguments, "dropout": 0.3})


class SeedsTorch(Small):
    def __init__(self, **arguments):
        torch.manual_seed(0)
        super().__init__(**arguments)


class HasWeightsOfItsOwn(Small):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        generator = torch.Generator().manual_seed(3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1, generator=generator)


class IsNotReproducible(Small):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        generator = torch.Generator()
        generator.seed()
        nn.init.normal_(self.head.weight, generator=generator)


class SeedsInForward(Small):
    def forward(self, x):
        y = super().forward(x)
        torch.manual_seed(0)
        return y


class DrawsInEvaluation(Small):
    def forward(self, x):
        torch.rand(1)
        return super().forward(x)


class UsesPythonsGenerator(Small):
    def __init__(self, **arguments):
        random.random()
        super().__init__(**arguments)


class UsesNumPysGenerator(Small):
    def __init__(self, **arguments):
        np.random.rand()  # noqa: NPY002
        super().__init__(**arguments)


class ForgetsStateWhenCopied(Small):
    def __deepcopy__(self, memo):
        return type(self)(in_channels=self.in_channels, num_outputs=2, output="vector", width=1, dropout=0).eval()


class HidesAWeight(Small):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.scale = torch.rand(1)

    def forward(self, x):
        return super().forward(x) * self.scale


class IgnoresTheWidth(Small):
    def __init__(self, **arguments):
        super().__init__(**{**arguments, "width": 1})


class NamesLayersByWidth(Small):
    def __init__(self, *, width, **arguments):
        super().__init__(width=width, **arguments)
        self.add_module(f"conv{16 * width}", nn.Conv1d(2, 16 * width, 3, padding=1))


class ComputesInFloat32(Small):
    def forward(self, x):
        return super().forward(x).float()


class OverflowsInLowPrecision(Small):
    def forward(self, x):
        y = super().forward(x)
        return y if y.dtype == x.dtype else y * float("inf")


class TakesAnyInput(Small):
    def forward(self, x):
        return super().forward(x[:, :3] if x.ndim == 3 else x)


class RaisesTorchErrors(Small):
    def forward(self, x):
        outputs = self.head(self.drop(self.act(self.conv(x))))
        return outputs if self.dense else outputs.mean(-1)


class TakesSingleInputs(Small):
    def forward(self, x):
        return super().forward(x[None] if x.ndim == 2 else x)


class TakesAnAxisTooMany(Small):
    def forward(self, x):
        return super().forward(x.flatten(2) if x.ndim == 4 else x)


class TakesAnyOutput(Small):
    def __init__(self, *, output, **arguments):
        super().__init__(output="dense" if output == "dense" else "vector", **arguments)


class HasAnIdleLayer(Small):
    def __init__(self, *, width, **arguments):
        super().__init__(width=width, **arguments)
        self.idle = nn.Linear(width, width)


class CutsTheGradient(Small):
    def forward(self, x):
        y = super().forward(x)
        return y.detach() + self.head.bias.sum()


class CannotLearn(Small):
    def forward(self, x):
        return torch.tanh(super().forward(x))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (SaysNoAxes, "must have an attribute ndim"),
        (IsNoModule, "made IsNoModule, not a torch.nn.Module"),
        (ForgetsToPool, r"output='vector' of an input of shape \(8, 3, 33\) has shape \(8, 2, 1\), not \(8, 2\)"),
        (HalvesTheResolution, r"has shape \(8, 2, 16\), not \(8, 2, 33\)"),
        (TakesEvenSizesOnly, r"has shape \(8, 2, 32\), not \(8, 2, 33\)"),
        (ReturnsATuple, "is tuple, not a tensor"),
        (IsNotFinite, "is not finite"),
        (FailsOnSmallInputs, r"an input of size \(1,\) must work or raise a DashaError, not RuntimeError"),
        (WritesIntoItsInput, "changed its input"),
        (DropsInEvaluation, "two passes on the same input must agree"),
        (LooksAtTheBatch, "must not depend on the rest of the batch"),
        (IgnoresDropout, "with dropout=0.5, two training passes must differ"),
        (AlwaysDrops, "with dropout=0.0, two training passes must agree"),
        (SeedsTorch, "the factory seeds"),
        (HasWeightsOfItsOwn, "must not be the same whatever the seed"),
        (IsNotReproducible, "must follow from torch's global generator"),
        (SeedsInForward, "the forward pass seeds"),
        (DrawsInEvaluation, "in evaluation, nothing may be drawn"),
        (UsesPythonsGenerator, "Python's global generator was used"),
        (UsesNumPysGenerator, "NumPy's global generator was used"),
        (ForgetsStateWhenCopied, "a deep copy must compute the same"),
        (HidesAWeight, "loaded state_dict must compute the same"),
        (IgnoresTheWidth, "width=2 has 482 parameters, but must have more"),
        (NamesLayersByWidth, r"these differ: \['conv16', 'conv32'\]"),
        (ComputesInFloat32, "is torch.float32, but the input is torch.float64"),
        (OverflowsInLowPrecision, "is not finite"),
        (TakesAnyInput, "6 channels where in_channels=3 must raise a DashaError, but nothing was raised"),
        (RaisesTorchErrors, "6 channels where in_channels=3 must raise a DashaError, not RuntimeError"),
        (TakesSingleInputs, "an input without batch axis must raise a DashaError, but nothing was raised"),
        (TakesAnAxisTooMany, "an input with an axis too many must raise a DashaError, but nothing was raised"),
        (TakesAnyOutput, "output='nonsense' must raise a DashaError, but nothing was raised"),
        (HasAnIdleLayer, r"no gradient reaches \['idle.bias', 'idle.weight'\]"),
        (CutsTheGradient, r"no gradient reaches \['conv.bias', 'conv.weight', 'head.weight'\]"),
        (CannotLearn, "but it must fall below 0.1"),
    ],
)
def test_a_broken_rule_is_named(broken, reason):
    with pytest.raises(AssertionError, match=reason):
        check_backbone(broken)


def test_a_network_that_keeps_to_the_rules_conforms():
    check_backbone(Small)


def test_the_axes_can_be_passed():
    check_backbone(SaysNoAxes, ndim=1)


def test_small_inputs_may_be_refused():
    class Refuses(Small):
        def forward(self, x):
            if x.shape[-1] < 4:
                raise InvalidArgumentError("too short")
            return super().forward(x)

    check_backbone(Refuses)


def test_the_suite_leaves_the_generators_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    check_backbone(Small)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tobytes())  # noqa: NPY002
