"""What is kept as codes is looked at as codes, and told the same about as its values are."""

import numpy as np
import pytest
import torch

from dasha.data import as_split, inspect
from dasha.data import codes as coded
from dasha.data.codes import CodedSplit, CodeTable
from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec

GENERATOR = torch.Generator().manual_seed(0)
CODES = torch.randint(5, (150, 20), generator=GENERATOR, dtype=torch.uint8)
COLUMNS = torch.tensor(
    [[0.0, 1.5, 7.0], [1.0, 0.0, 7.0], [2.0, 0.1, 7.0], [0.0, -3.0, 7.0], [0.0, 0.0, 7.0], [9.0] * 3]
)
Y = torch.arange(150) % 3
TASK = TaskSpec("multiclass", 3, 3)


class Kept:
    """A split of codes that may not be unfolded."""

    is_partial = False

    def __init__(self, codes=CODES, columns=COLUMNS, targets=Y):
        self.codes, self.columns, self.targets = codes, columns, targets

    @property
    def size(self):
        return len(self.codes)

    def batches(self, size, *, shuffle):
        pytest.fail("unfolded")

    def joined(self, other):
        raise NotImplementedError


class Unfolded(Kept):
    def batches(self, size, *, shuffle):
        for start in range(0, len(self.codes), size):
            inputs = self.columns[self.codes[start : start + size].long()].movedim(-1, 1)
            yield inputs, self.targets[start : start + size]


def values(split):
    inputs = split.columns[split.codes.long()].movedim(-1, 1)
    return as_split((inputs, split.targets), "train")


def looked_at(split, task=TASK):
    return inspect(task, split, "train")


@pytest.mark.parametrize("at_once", [7, 1 << 22])
def test_codes_are_told_about_as_their_values(at_once, monkeypatch):
    monkeypatch.setattr(coded, "_AT_ONCE", at_once)
    split = Kept()
    assert isinstance(split, CodedSplit)
    assert not isinstance(values(split), CodedSplit)
    here, there = looked_at(split), looked_at(values(split))
    assert (here.count, here.shape, here.class_counts) == (there.count, there.shape, there.class_counts)
    assert here.mean == pytest.approx(there.mean, rel=1e-12)
    assert here.std == pytest.approx(there.std, rel=1e-12)
    assert here.std[2] == 1.0
    assert here.fingerprint == looked_at(Kept()).fingerprint


@pytest.mark.parametrize("at_once", [3, 40, 1 << 22])
def test_the_fingerprint_does_not_depend_on_how_much_is_read_at_once(at_once, monkeypatch):
    expected = looked_at(Kept()).fingerprint
    monkeypatch.setattr(coded, "_AT_ONCE", at_once)
    assert looked_at(Kept()).fingerprint == expected


def changed(tensor, index, value):
    copy = tensor.clone()
    copy[index] = value
    return copy


OTHER = int((CODES[70, 3] + 1) % 5)


@pytest.mark.parametrize(
    "split",
    [
        Kept(changed(CODES, (70, 3), OTHER)),
        Kept(CODES.flip(0)),
        Kept(CODES[:149], targets=Y[:149]),
        Kept(CODES.reshape(150, 4, 5)),
        Kept(targets=changed(Y, 5, 0)),
        Kept(columns=changed(COLUMNS, (2, 1), 0.2)),
        Kept(columns=COLUMNS[[1, 0, 2, 3, 4, 5]]),
    ],
    ids=["code", "order", "fewer", "shape", "target", "column", "columns"],
)
def test_the_fingerprint_changes_with_any_change(split):
    assert looked_at(split).fingerprint != looked_at(Kept()).fingerprint


def test_the_fingerprint_is_one_of_values_not_of_the_table():
    expected = looked_at(Kept()).fingerprint
    order = [3, 1, 4, 0, 2, 5]
    place = torch.tensor(order).argsort()
    assert looked_at(Kept(place[CODES.long()].to(torch.uint8), COLUMNS[order])).fingerprint == expected
    assert looked_at(Kept(columns=COLUMNS[:5])).fingerprint == expected  # 5 does not occur
    assert looked_at(Kept(columns=changed(COLUMNS, 5, float("nan")))).fingerprint == expected
    doubled = torch.cat([COLUMNS, COLUMNS[:1]])
    assert looked_at(Kept(changed(CODES, CODES == 0, 6), doubled)).fingerprint == expected


def test_what_is_wrong_is_said_as_of_values():
    first = int((CODES == 3).any(1).nonzero()[0])
    split = Unfolded(columns=changed(COLUMNS, (3, 0), float("nan")))
    with pytest.raises(InvalidArgumentError, match=rf"values that are not finite .* first in sample {first};"):
        looked_at(split)
    with pytest.raises(InvalidArgumentError, match="train is empty"):
        looked_at(Unfolded(CODES[:0], targets=Y[:0]))
    with pytest.raises(InvalidArgumentError, match=r"inputs with 3 channels \(shape \(3, 20\)\), but in_channels=4"):
        looked_at(Kept(), TaskSpec("multiclass", 4, 3))
    with pytest.raises(InvalidArgumentError, match=r"batches of shape \(150, 3\)"):
        looked_at(Kept(CODES[:, 0]))
    with pytest.raises(InvalidArgumentError, match=r"has labels \[2\], but num_outputs=2 allows 0 to 1"):
        looked_at(Kept(), TaskSpec("multiclass", 3, 2))
    with pytest.raises(InvalidArgumentError, match=r"150 inputs with targets of shape \(149,\)"):
        looked_at(Kept(targets=Y[:149]))
    with pytest.raises(InvalidArgumentError, match="codes go up to 4, but there are columns for 4 only"):
        CodeTable(CODES, COLUMNS[:4])


def test_dense_targets_and_numbers():
    masks = CODES.long() % 3
    here, there = (looked_at(kind(Kept(targets=masks)), TaskSpec("segmentation", 3, 3)) for kind in (_same, values))
    assert here.class_counts == there.class_counts
    numbers = Kept(targets=torch.randn(150, 2, generator=GENERATOR))
    task = TaskSpec("regression", 3, 2)
    assert looked_at(numbers, task).class_counts == ()
    assert looked_at(numbers, task).fingerprint == looked_at(numbers, task).fingerprint
    with pytest.raises(InvalidArgumentError, match="targets that are not finite"):
        looked_at(Kept(targets=changed(numbers.targets, (3, 1), np.nan)), task)


def _same(split):
    return split
