"""Random strands and shifts, and predictions averaged over strands."""

import numpy as np
import pytest
import torch
from torch import nn

from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from genomics_adapter.augment import Augmentation
from genomics_adapter.encoding import encode, one_hot
from genomics_adapter.reverse_complement import StrandAverage, other_strand

RNG = np.random.default_rng(0)
INPUTS = one_hot(RNG.integers(0, 4, (200, 30), dtype=np.uint8))
TARGETS = torch.arange(200)


def test_every_second_sequence_is_turned():
    with seeded(0):
        changed, targets = Augmentation()(INPUTS, TARGETS)
    turned = (changed != INPUTS).flatten(1).any(1)
    assert 70 < int(turned.sum()) < 130
    assert torch.equal(changed[turned], other_strand(INPUTS[turned]))
    assert torch.equal(targets, TARGETS)
    with seeded(0):
        assert torch.equal(Augmentation()(INPUTS, TARGETS)[0], changed)


def test_shifted_sequences_are_shifted_and_nothing_else():
    with seeded(0):
        changed, _ = Augmentation(reverse_complement=False, shift=3)(INPUTS, TARGETS)
    seen = set()
    for before, after in zip(INPUTS, changed, strict=True):
        fits = []
        for step in range(-3, 4):
            expected = torch.zeros_like(before)
            expected[:, max(step, 0) : 30 + min(step, 0)] = before[:, max(-step, 0) : 30 - max(step, 0)]
            fits += [step] if torch.equal(expected, after) else []
        assert len(fits) == 1
        seen.update(fits)
    assert seen == set(range(-3, 4))


def test_targets_of_positions_turn_around_with_the_strand():
    inputs, targets = INPUTS, INPUTS.argmax(1)
    with seeded(1):
        changed, turned = Augmentation(is_dense=True)(inputs, targets)
    is_turned = (changed != inputs).flatten(1).any(1)
    assert torch.equal(turned[is_turned], targets[is_turned].flip(1))
    assert torch.equal(turned[~is_turned], targets[~is_turned])


def test_what_augmentation_refuses():
    with pytest.raises(InvalidArgumentError, match="shift is -1, but must be an integer of at least 0"):
        Augmentation(shift=-1)
    with pytest.raises(InvalidArgumentError, match="shift=2 would leave positions without a target"):
        Augmentation(shift=2, is_dense=True)


def test_an_average_does_not_depend_on_the_strand():
    torch.manual_seed(0)
    vector = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    dense = nn.Conv1d(4, 3, 5, padding=2)
    with torch.no_grad():
        average = StrandAverage(vector)
        torch.testing.assert_close(average(INPUTS), average(other_strand(INPUTS)))
        torch.testing.assert_close(average(INPUTS), (vector(INPUTS) + vector(other_strand(INPUTS))) / 2)
        assert not torch.allclose(vector(INPUTS), vector(other_strand(INPUTS)))
        average = StrandAverage(dense, is_dense=True)
        torch.testing.assert_close(average(INPUTS), average(other_strand(INPUTS)).flip(-1))


def test_the_other_strand_of_a_sequence():
    assert torch.equal(other_strand(one_hot(encode(["AACGT-"]))), one_hot(encode(["-ACGTT"])))
