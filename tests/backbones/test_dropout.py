"""Dropout with few random numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dasha.backbones.dropout import Dropout


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_the_right_share_is_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    outputs = Dropout(share)(torch.ones(400_003))
    is_dropped = outputs == 0
    # five standard deviations
    assert float(is_dropped.float().mean()) == pytest.approx(share, abs=5 * (share * (1 - share) / 400_003) ** 0.5)
    steps = round(share * 2**16)
    torch.testing.assert_close(outputs[~is_dropped], torch.full_like(outputs[~is_dropped], 2**16 / (2**16 - steps)))


def test_values_are_dropped_independently():
    torch.manual_seed(0)
    is_dropped = (Dropout(0.5)(torch.ones(1 << 20)) == 0).double() - 0.5
    for lag in (1, 2, 3, 4, 5, 8, 16):
        correlation = 4 * float((is_dropped[lag:] * is_dropped[:-lag]).mean())
        assert abs(correlation) < 5 / (1 << 10), lag
    rows = is_dropped.view(-1, 4)
    assert all(abs(4 * float((rows[:, i] * rows[:, j]).mean())) < 5 / (1 << 9) for i in range(4) for j in range(i))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 3, 4, 5), (2, 3, 4, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_shape_and_type(shape, dtype):
    inputs = torch.ones(shape, dtype=dtype)
    outputs = Dropout(0.25)(inputs)
    assert (outputs.shape, outputs.dtype) == (inputs.shape, dtype)
    assert set(outputs.flatten().tolist()) <= {0.0, float(torch.tensor(4 / 3, dtype=dtype))}


def test_the_gradient_is_dropped_alike():
    inputs = torch.randn(50, 40, requires_grad=True)
    outputs = Dropout(0.3)(inputs.transpose(0, 1))
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad.T * inputs.T, outputs)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_order_in_memory_is_kept_and_every_value_has_its_own_bits(share):
    inputs = torch.ones(8, 6, 5, 7).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    outputs = Dropout(share)(inputs)
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    plain = Dropout(share)(torch.ones(8, 5, 7, 6))
    assert torch.equal(outputs.permute(0, 2, 3, 1), plain)


def test_the_global_generator_decides():
    torch.manual_seed(3)
    first, second = (Dropout(0.5)(torch.ones(100)) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(torch.ones(100)), first)


def test_without_training_or_probability_nothing_happens():
    inputs = torch.ones(100)
    state = torch.get_rng_state()
    assert Dropout(0.5).eval()(inputs) is inputs
    assert torch.equal(Dropout(0.0)(inputs), inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(Dropout(0.5), nn.Dropout)


def test_the_default_device_does_not_matter():
    with torch.device("meta"):
        assert Dropout(0.5)(torch.ones(3, device="cpu")).device.type == "cpu"


def test_a_probability_next_to_one_keeps_numbers_finite():
    assert torch.isfinite(Dropout(1 - 1e-9)(torch.ones(1000))).all()


def test_on_a_device_without_data_it_is_torchs():
    assert Dropout(0.5)(torch.ones(3, device="meta")).device.type == "meta"
