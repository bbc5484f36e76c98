"""Rules about training."""

from __future__ import annotations

import torch
from torch.nn import functional

from dasha.testing._networks import BATCH, Subject

_STEPS = 60
_LOSS = 0.1


def gradient_reaches_every_parameter(subject: Subject) -> None:
    """Check that every parameter has a gradient other than 0 in one of the first three steps.

    In the first step alone some may have none: behind a layer whose weights start at 0.
    """
    for output in subject.outputs:
        network, x = subject.make(output=output), subject.draw()
        unreached = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            optimizer.zero_grad()
            outputs = network(x)
            (outputs * torch.randn(outputs.shape, generator=generator)).sum().backward()
            optimizer.step()
            unreached -= {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
        assert not unreached, f"with output={output!r}, no gradient reaches {sorted(unreached)}"


def learns_a_tiny_batch(subject: Subject) -> None:
    """Check that Adam brings the cross-entropy of a few random inputs and two classes from about 0.7 below 0.1."""
    for output in subject.outputs:
        torch.manual_seed(0)
        network, x = subject.make(output=output), subject.draw()
        labels = torch.arange(BATCH) % 2
        if output == "dense":
            # One class for all positions of an input, so that a head of low resolution can learn it as well.
            labels = labels.reshape(-1, *[1] * subject.ndim).expand(-1, *x.shape[2:])
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        losses = []
        for _ in range(_STEPS):
            loss = functional.cross_entropy(network(x), labels)
            losses.append(loss.item())
            if losses[-1] < _LOSS:
                break
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert losses[-1] < _LOSS, (
            f"with output={output!r}, {_STEPS} steps of Adam on {BATCH} inputs brought the loss from {losses[0]:.2f} "
            f"to {losses[-1]:.2f}, but it must fall below {_LOSS}"
        )
