"""The networks learn real pictures in seconds, with the optimiser of their paper."""

import pytest
import torch
from torch.nn import functional

from dasha.backbones import UNet1d, UNet2d, WideResNet1d, WideResNet2d

TRAINED = 1200


@pytest.fixture(scope="module")
def digits():
    """Return 1797 pictures ``(N, 1, 8, 8)`` of digits in random order, and the digits ``(N,)``."""
    datasets = pytest.importorskip("sklearn.datasets").load_digits()
    order = torch.randperm(len(datasets.images), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(datasets.images, dtype=torch.float32)[order, None]
    return (images - images.mean()) / images.std(), torch.tensor(datasets.target)[order]


def train(network, x, labels, *, epochs, batch=64):
    """Run SGD with learning rate 0.1, falling to 0 along a cosine, and return the predicted classes of the rest."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (TRAINED // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(TRAINED).split(batch)[: TRAINED // batch]:
            loss = functional.cross_entropy(network(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return network.eval()(x[TRAINED:]).argmax(dim=1)


def accuracy(predicted, labels):
    return (predicted == labels).float().mean().item()


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_a_wide_resnet_reads_digits(digits):
    x, labels = digits
    network = WideResNet2d(in_channels=1, num_outputs=10, depth=10, width=1)
    assert accuracy(train(network, x, labels, epochs=2), labels[TRAINED:]) > 0.93


def test_a_wide_resnet_segments_by_what_and_where(digits):
    """Every pixel of ink has the class of its digit, which one pixel cannot know; the paper has class 10."""
    x, labels = digits
    ink = x[:, 0] > 0  # above the mean grey
    pixels = torch.where(ink, labels[:, None, None], 10)
    network = WideResNet2d(in_channels=1, num_outputs=11, depth=10, width=1, output="dense")
    predicted = train(network, x, pixels, epochs=3)
    assert accuracy(predicted[ink[TRAINED:]], pixels[TRAINED:][ink[TRAINED:]]) > 0.75
    assert accuracy(predicted[~ink[TRAINED:]], pixels[TRAINED:][~ink[TRAINED:]]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network_class", "epochs"), [(WideResNet1d, 5), (UNet1d, 2), (UNet2d, 3)], ids=lambda value: str(value)
)
def test_the_other_networks_read_digits(digits, network_class, epochs):
    x, labels = digits
    network = network_class(in_channels=1, num_outputs=10, width=1)
    x = x.flatten(2) if network.ndim == 1 else x
    assert accuracy(train(network, x, labels, epochs=epochs), labels[TRAINED:]) > 0.9
