from dataclasses import replace

import pytest
import torch

from dasha.data.part import Part
from dasha.data.split import as_split
from dasha.randomness import seeded
from dasha.search import kernels
from dasha.search.estimated import estimated_methods
from dasha.search.kernels import random_architecture, search_kernels
from dasha.search.progress import Silent
from dasha.search.run_folder import RunFolder
from dasha.search.settings import SearchSettings
from dasha.search.supernet import to_supernet
from dasha.search.training import Diverged, Learning

from .tiny import TASK, TRAIN, Tiny

LEARNING = Learning(TASK, 8, torch.device("cpu"))
SETTINGS = SearchSettings(epochs=3, batch_fraction=1.0, batch_size=8, settled_epochs=5)


def supernet(seed=0):
    with seeded(seed):
        return to_supernet(Tiny(in_channels=1, num_outputs=2), (3, 5), (1, 2), is_depthwise=True)


def search(path, settings=SETTINGS, network=None, **options):
    return search_kernels(
        network or supernet(),
        as_split(TRAIN, "train"),
        settings,
        LEARNING,
        seed=1,
        folder=RunFolder(path),
        stage=Silent(),
        **options,
    )


def test_a_search_gives_a_pair_for_every_convolution(tmp_path):
    outcome = search(tmp_path)
    assert set(outcome.architecture) == {"first", "second"}
    assert all(size in (3, 5) and dilation in (1, 2) for size, dilation in outcome.architecture.values())
    assert len(outcome.losses) == len(outcome.coefficients) == 3
    for name, (size, dilation) in outcome.architecture.items():
        last = torch.tensor(outcome.coefficients[-1][name])
        assert last.sum() == pytest.approx(1)
        assert int(last.argmax()) == (3, 5).index(size) * 2 + (1, 2).index(dilation)


def test_a_search_ends_when_nothing_changes(tmp_path):
    outcome = search(tmp_path, SearchSettings(epochs=50, batch_size=8, settled_epochs=2, alpha_lr=0.0))
    assert outcome.is_settled
    assert len(outcome.losses) == 3


def test_gradients_of_logits_have_one_length_and_pay_for_size(tmp_path, monkeypatch):
    seen = []

    def record(network, optimizer, split, learning, *, before_step):
        for mixture in network.mixtures.values():
            mixture.alpha.grad = torch.randn_like(mixture.alpha) * 50
        before_step()
        seen.extend((m.alpha.grad.clone(), m.fields) for m in network.mixtures.values())
        return 1.0

    monkeypatch.setattr(kernels, "train_epoch", record)
    search(tmp_path, SearchSettings(epochs=1, grad_scale=100.0, size_penalty=1e-3))
    for gradient, field in seen:
        assert field.tolist() == [[3, 5], [5, 9]]
        assert float((gradient - 1e-3 * field).norm()) == pytest.approx(0.01, rel=1e-4)


def test_divergence_lowers_the_learning_rate_and_repeats_the_epoch(tmp_path, monkeypatch):
    rates = []

    def fragile(network, optimizer, split, learning, *, before_step):
        rates.append(optimizer.param_groups[0]["lr"])
        if rates[-1] > 0.02:
            next(iter(network.weights())).data.fill_(float("nan"))
            raise Diverged("loss is nan in batch 1")
        return 1.0

    monkeypatch.setattr(kernels, "train_epoch", fragile)
    network = supernet()
    outcome = search(tmp_path, SearchSettings(epochs=2, milestones=()), network)
    assert rates == pytest.approx([0.1, 0.03, 0.009, 0.009])
    assert (outcome.slowdowns, outcome.losses) == (2, [1.0, 1.0])
    assert all(torch.isfinite(weight).all() for weight in network.parameters())


def test_a_search_that_always_diverges_says_so(tmp_path, monkeypatch):
    def diverge(*arguments, **options):
        raise Diverged("loss is nan in batch 1")

    monkeypatch.setattr(kernels, "train_epoch", diverge)
    with pytest.raises(Diverged, match=r"diverges at every learning rate .*loss is nan in batch 1.*lower search\.lr"):
        search(tmp_path)


def test_a_search_goes_on_from_its_checkpoint(tmp_path):
    whole = search(tmp_path / "whole")

    class Stop:
        def advance(self, done, note=""):
            if done == 2:
                raise KeyboardInterrupt

    folder = RunFolder(tmp_path / "cut")
    folder.write_json("config.json", {})
    with pytest.raises(KeyboardInterrupt):
        search_kernels(supernet(), as_split(TRAIN, "train"), SETTINGS, LEARNING, seed=1, folder=folder, stage=Stop())
    resumed = search(tmp_path / "cut", network=supernet(seed=9))
    assert resumed.losses == whole.losses
    assert resumed.coefficients == whole.coefficients


def test_progress_says_how_settled_the_kernels_are(tmp_path):
    notes = []

    class Shown:
        def advance(self, done, note=""):
            notes.append(note)

    folder = RunFolder(tmp_path / "run")
    folder.write_json("config.json", {})
    settings = replace(SETTINGS, epochs=4, alpha_lr=0.0, settled_epochs=2)
    outcome = search_kernels(
        supernet(), as_split(TRAIN, "train"), settings, LEARNING, seed=1, folder=folder, stage=Shown()
    )
    assert outcome.is_settled
    assert notes == [f"loss {loss:.3f}, kernels unchanged {epoch}/2" for epoch, loss in enumerate(outcome.losses)]


def test_nothing_is_timed_in_a_search(tmp_path, monkeypatch):
    def refuse(case):
        raise AssertionError("timed")

    monkeypatch.setattr("dasha.search.mixture.fastest", refuse)
    network = supernet()
    search(tmp_path, SearchSettings(epochs=1, batch_size=8), network)
    assert {mixture.method for mixture in network.mixtures.values()} == {"auto"}


def test_estimated_methods_are_put_back_after_an_error():
    network = supernet()
    used = []

    def fail():
        with estimated_methods(network):
            network(torch.zeros(2, 1, 12))
            used.extend(mixture.method for mixture in network.mixtures.values())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert set(used) <= {"separate", "direct", "frequency"}
    assert {mixture.method for mixture in network.mixtures.values()} == {"auto"}


def test_a_share_of_the_samples_is_seen():
    split = as_split(TRAIN, "train")
    for fraction, size, expected in ((0.5, 4, [4, 4, 4]), (0.01, 8, [8]), (1.0, 8, [8, 8, 4])):
        part = Part(split, fraction)
        assert [len(x) for x, _ in part.batches(size, shuffle=True)] == expected


def test_random_architectures_follow_the_seed():
    drawn = [random_architecture(supernet(), seed=seed) for seed in range(20)]
    assert drawn[3] == random_architecture(supernet(seed=5), seed=3)
    assert len({tuple(one.values()) for one in drawn}) > 5
