import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("tangermeme")

from sklearn.exceptions import NotFittedError
from tangermeme.ablate import ablate
from tangermeme.deep_lift_shap import deep_lift_shap
from tangermeme.marginalize import marginalize
from tangermeme.predict import predict
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from torch import nn

from dasha.backbones import PeakResNet1d, UNet1d, WideResNet1d
from dasha.errors import InvalidArgumentError, OptionalDependencyError
from dasha.randomness import seeded
from dasha.search.model import Ensemble
from dasha.search.supernet import apply_architecture
from genomics_adapter import attribute, motifs
from genomics_adapter.attribution import seqlets
from genomics_adapter.encoding import ANY, PAD, encode, one_hot
from genomics_adapter.estimator import DashaSequenceClassifier
from genomics_adapter.logos import draw_attributions, draw_motifs
from genomics_adapter.patterns import Motif
from genomics_adapter.planted import MOTIFS, plant, recovery, similarity
from genomics_adapter.references import stretches_shuffled
from genomics_adapter.reverse_complement import StrandAverage

LENGTH = 40
CODES = np.random.default_rng(0).integers(0, 4, (6, LENGTH), dtype=np.uint8)
X = one_hot(CODES)


def network(kind, **options):
    """A network with kernels as a search gives them, on both strands, its running statistics not at their defaults."""
    with seeded(0):
        plain = kind(in_channels=4, num_outputs=2, width=1, **options)
        if kind is WideResNet1d:
            plain = apply_architecture(plain, {"blocks.0.conv1": (7, 3), "blocks.1.conv2": (9, 1)})
        plain.train()
        for _ in range(3):
            plain(one_hot(torch.randint(0, 4, (32, LENGTH), dtype=torch.uint8)))
    return StrandAverage(plain).eval()


@pytest.fixture(
    scope="module",
    params=[(WideResNet1d, {}), (PeakResNet1d, {}), (UNet1d, {"levels": 2})],
    ids=["wide_resnet", "peak_resnet", "unet"],
)
def model(request):
    kind, options = request.param
    return network(kind, **options)


@pytest.fixture(scope="module")
def wide():
    return network(WideResNet1d)


class Motifs(nn.Module):
    """Adds up the matches of two known motifs on the strand as it is; what attributions should find is known."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(4, 1, len(text), bias=False) for text in MOTIFS)
        for conv, text in zip(self.convs, MOTIFS, strict=True):
            conv.weight.data = one_hot(encode([text])) - 0.25
        self.acts = nn.ModuleList(nn.ReLU() for _ in MOTIFS)

    def forward(self, x):
        # 4 of 7 or 8 bases match by chance; only better matches count
        both = zip(self.convs, self.acts, MOTIFS, strict=True)
        return sum(act(conv(x) - (0.75 * len(text) - 2)).sum(-1) for conv, act, text in both)


@pytest.fixture(scope="module")
def planted():
    """Sequences with both motifs, and contributions by a network that knows them."""
    made = plant(200, seed=1)
    forward = np.flatnonzero(made.mask.any(1))
    contributions = attribute(StrandAverage(Motifs()), made.data.codes[forward], n_shuffles=3)
    return made, forward, contributions


def test_predictions_and_perturbations(model):
    with torch.no_grad():
        expected = model(X)
    torch.testing.assert_close(predict(model, X, device="cpu"), expected)
    before, after = marginalize(model, X, "TGACTCA", device="cpu")
    assert before.shape == after.shape == (6, 2)
    assert not torch.equal(before, after)
    before, after = ablate(model, X, start=10, end=20, n=2, device="cpu")
    assert before.shape == (6, 2)
    assert after.shape == (6, 2, 2)


def test_deep_lift_contributions_add_up_to_the_difference_from_the_references(model):
    wholes = torch.arange(4).repeat(10)[None].expand(6, -1).to(torch.uint8)  # one reference for all
    reference = one_hot(wholes)[:, None]
    values = deep_lift_shap(
        model, X, target=1, references=reference, device="cpu", raw_outputs=True, warning_threshold=1e-3
    )
    with torch.no_grad():
        difference = (model(X) - model(reference[:, 0]))[:, 1]
    found = (values[:, 0] * (X - reference[:, 0])).sum((1, 2))
    torch.testing.assert_close(found, difference, rtol=1e-3, atol=1e-4)


def test_saturation_mutagenesis_is_the_effect_of_every_change(wide):
    values = saturation_mutagenesis(wide, X[:2], target=0, device="cpu")
    with torch.no_grad():
        whole = wide(X[:2])[:, 0]
        changed = torch.stack([wide(_with(X[:2], 7, base))[:, 0] for base in range(4)], 1)
    effects = changed - whole[:, None]
    expected = ((effects - effects.mean(1, keepdim=True)) * X[:2, :, 7]).sum(1)
    torch.testing.assert_close(values[:, :, 7].sum(1), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(attribute(wide, CODES[:2], method="saturation_mutagenesis", device="cpu"), values)


def _with(x, position, base):
    x = x.clone()
    x[:, :, position] = 0
    x[:, base, position] = 1
    return x


def test_attribute_leaves_the_network_as_it_was(wide):
    wide.train()
    first, second = (attribute(wide, CODES, n_shuffles=2, seed=1, device="cpu") for _ in "ab")
    assert wide.training
    wide.eval()
    assert first.shape == (6, 4, LENGTH)
    assert torch.equal(first, second)
    assert not (first * (1 - X)).any()


def uncertain():
    """Sequences with an N, with padding at both ends, with an ambiguity code, with nothing known, and two without."""
    codes = CODES.copy()
    codes[0, 7] = ANY
    codes[1, :10] = codes[1, -5:] = PAD
    codes[2, 5] = 4
    codes[3] = ANY
    return codes


@pytest.mark.parametrize("ambiguous", ["zeros", "fractions"])
def test_bases_that_are_not_known_stay_where_they_are(wide, ambiguous):
    x = one_hot(uncertain(), ambiguous=ambiguous)
    values = attribute(wide, x, n_shuffles=3, seed=5, device="cpu")
    assert torch.equal(values[4:], attribute(wide, x[4:], n_shuffles=3, seed=5, device="cpu"))
    references = stretches_shuffled(x, n=3, random_state=5)
    with torch.no_grad():
        difference = wide(x)[:, 0] - torch.stack([wide(references[:, number])[:, 0] for number in range(3)]).mean(0)
    torch.testing.assert_close(values.sum((1, 2)), difference, rtol=1e-3, atol=1e-5)
    is_certain = x.amax(1) == 1
    assert values.sum(1)[~is_certain].abs().max() < 1e-6


def test_every_stretch_keeps_its_dinucleotides():
    x = one_hot(uncertain())
    references = stretches_shuffled(x, n=4, random_state=1)
    assert torch.equal(references[:, 2:3], stretches_shuffled(x, n=1, random_state=3))
    assert torch.equal(references.amax(2), x.amax(1)[:, None].expand(-1, 4, -1))
    assert not torch.equal(references[0, 0], x[0])
    for row, start, stop in ((0, 0, 7), (0, 8, LENGTH), (1, 10, LENGTH - 5), (2, 6, LENGTH), (4, 0, LENGTH)):
        pairs = [dinucleotides(one[:, start:stop]) for one in (x[row], *references[row])]
        assert all(torch.equal(pairs[0], one) for one in pairs[1:])


def dinucleotides(columns):
    return columns[:, :-1] @ columns[:, 1:].T


@pytest.mark.parametrize("method", ["deep_lift_shap", "saturation_mutagenesis"])
def test_contributions_to_an_ensemble_are_the_mean_of_those_to_its_networks(wide, method):
    with seeded(1):
        other = WideResNet1d(in_channels=4, num_outputs=2, width=1).eval()
    ensemble = StrandAverage(Ensemble([wide.network, other])).eval()
    options = {"method": method, "n_shuffles": 2, "device": "cpu"}
    here, first, second = (attribute(one, CODES[:2], **options) for one in (ensemble, wide, StrandAverage(other)))
    torch.testing.assert_close(here, (first + second) / 2, rtol=1e-3, atol=1e-5)


def test_contributions_point_at_planted_motifs(planted):
    made, rows, contributions = planted
    area, chance = recovery(contributions, made.mask[rows])
    assert area > 0.7 > 3 * chance


def test_seqlets_become_the_motifs_that_were_planted(planted):
    made, rows, contributions = planted
    found = seqlets(contributions, caller="tfmodisco", window_size=9)
    assert {"example_idx", "start", "end", "attribution"} <= set(found.columns)
    assert found.equals(seqlets(contributions.double().numpy(), caller="tfmodisco", window_size=9))
    patterns = motifs(contributions.numpy(), made.data.codes[rows], found=found)
    for frequencies in made.frequencies:
        assert max(similarity(pattern, frequencies) for pattern in patterns) > 0.9
    strands = set(patterns[0].members["strand"])
    assert strands == {"+", "-"}
    np.testing.assert_allclose(patterns[0].frequencies.sum(0), 1)


@pytest.mark.slow  # numba compiles for half a minute
def test_seqlets_with_p_values_are_for_and_against(planted):
    made, _, contributions = planted
    signed = contributions.clone()
    signed[::2] *= -1
    found = seqlets(signed, flank=0)
    is_against = found["attribution"] < 0
    assert 0.3 < is_against.mean() < 0.7
    assert (found["example_idx"][is_against] % 2 == 0).all()
    assert found["start"].min() >= 0
    assert found["end"].max() <= made.data.length


def test_similarity_of_a_motif_with_itself_on_either_strand():
    shares = plant(2).frequencies[0]
    same = Motif(shares, shares, None)
    turned = Motif(shares, shares[::-1, ::-1], None)
    assert similarity(same, shares) == pytest.approx(1)
    assert similarity(turned, shares) == pytest.approx(1)
    assert same.consensus == MOTIFS[0]


def test_planted_sequences_need_both_motifs():
    made = plant(300, seed=2)
    assert made.data.labels.mean() == 0.5
    assert (made.mask.any(1) == (made.data.labels == 1)).all()
    assert set(made.mask.sum(1)) == {0, sum(map(len, MOTIFS))}
    with pytest.raises(InvalidArgumentError, match="length is 30, but spacing=6 needs at least"):
        plant(10, length=30)


def test_pictures(planted):
    _, _, contributions = planted
    figure = draw_attributions(contributions[:3].numpy(), titles=["$a$", "b"], spans=[[(3, 9)]], start=2, end=60)
    assert len(figure.axes) == 3
    shares = plant(2).frequencies[0]
    assert len(draw_motifs([Motif(shares, shares, np.zeros(5))]).axes) == 2
    with pytest.raises(InvalidArgumentError, match="there are no motifs to draw"):
        draw_motifs([])
    with pytest.raises(InvalidArgumentError, match="start=9 and end=4"):
        draw_attributions(contributions, start=9, end=4)
    with pytest.raises(InvalidArgumentError, match=r"must have \(N, 4, L\)"):
        draw_attributions(contributions[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 2}, "target is 2, but the model has outputs 0 to 1"),
        ({"target": 0.0}, "target is 0.0, but the model has outputs 0 to 1"),
        ({"n_shuffles": 0}, "n_shuffles is 0, but must be an integer of at least 1"),
        ({"batch_size": 0}, "batch_size is 0, but must be an integer of at least 1"),
        ({"method": "guess"}, "method is 'guess', but must be one of"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
    ],
)
def test_attribute_checks_its_arguments(wide, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        attribute(wide, CODES, **options)


def test_the_number_of_an_output_may_be_one_of_numpy(wide):
    options = {"n_shuffles": 2, "device": "cpu"}
    here, there = (attribute(wide, CODES[:2], target=target, **options) for target in (1, np.int64(1)))
    torch.testing.assert_close(here, there)


def test_an_estimator_must_be_fitted():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        attribute(DashaSequenceClassifier(), CODES)


def test_models_with_other_outputs_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"must return a tensor \(N, T\)"):
        attribute(nn.Flatten(0), CODES)


def test_callers_and_groupings_are_checked(planted):
    made, rows, contributions = planted
    with pytest.raises(InvalidArgumentError, match="caller is 'magic'"):
        seqlets(contributions, caller="magic")
    with pytest.raises(InvalidArgumentError, match=r"must have \(N, 4, L\)"):
        seqlets(contributions[0])
    with pytest.raises(InvalidArgumentError, match="grouping is 'magic'"):
        motifs(contributions, made.data.codes[rows], grouping="magic")


@pytest.fixture
def hypothetical(planted):
    """What every base would contribute around the planted motifs, beside some noise."""
    made, rows, _ = planted
    mask = torch.from_numpy(made.mask[rows])[:, None]
    own = one_hot(made.data.codes[rows])
    noise = 0.03 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0))
    return noise + mask * (own - 0.25)


def test_hypothetical_contributions_agree_where_bases_are(wide):
    plain, every = (attribute(wide, CODES, n_shuffles=2, device="cpu", hypothetical=own) for own in (False, True))
    assert (every * (1 - X)).abs().max() > 1e-4
    torch.testing.assert_close(every * X, plain, rtol=1e-4, atol=1e-6)


def test_patterns_need_only_what_is_there_of_hypothetical_contributions(planted, hypothetical):
    made, rows, _ = planted
    codes = made.data.codes[rows]
    found = seqlets(hypothetical * one_hot(codes), caller="tfmodisco", window_size=9)
    first, second = (motifs(part, codes, found=found) for part in (hypothetical, hypothetical * one_hot(codes)))
    assert [one.consensus for one in first] == [one.consensus for one in second] != []


def test_modisco_is_optional_and_needs_hypothetical_contributions(planted, hypothetical, monkeypatch):
    made, rows, contributions = planted
    monkeypatch.setitem(sys.modules, "modiscolite", None)
    with pytest.raises(OptionalDependencyError, match="is not installed; run: pip install 'modisco-lite'"):
        motifs(hypothetical, made.data.codes[rows], grouping="modisco")
    with pytest.raises(InvalidArgumentError, match=r"make them with attribute\(…, hypothetical=True\)"):
        motifs(contributions, made.data.codes[rows], grouping="modisco")


def test_what_modisco_is_given_and_gives(planted, hypothetical, monkeypatch):
    made, rows, _ = planted
    codes, given = made.data.codes[rows], {}

    def run(**arguments):
        given.update(arguments)
        sequence = one_hot(encode(["AATGACTCAA"]))[0].T.numpy()
        scores = sequence * np.array([0, 0, *[1.0] * 7, 0])[:, None]
        seqlet = SimpleNamespace(example_idx=3, start=5, end=15, is_revcomp=True)
        return None, [SimpleNamespace(sequence=sequence, contrib_scores=-scores, seqlets=[seqlet])]

    module = ModuleType("modiscolite.tfmodisco")
    module.TFMoDISco = run
    monkeypatch.setitem(sys.modules, "modiscolite", ModuleType("modiscolite"))
    monkeypatch.setitem(sys.modules, "modiscolite.tfmodisco", module)
    (pattern,) = motifs(hypothetical, codes, grouping="modisco", flank_size=5)
    assert given["flank_size"] == 5
    assert given["one_hot"].dtype == given["hypothetical_contribs"].dtype == np.float32
    np.testing.assert_array_equal(given["one_hot"], one_hot(codes).numpy().transpose(0, 2, 1))
    np.testing.assert_array_equal(given["hypothetical_contribs"], hypothetical.numpy().transpose(0, 2, 1))
    assert pattern.consensus == "TGACTCA"
    assert pattern.contributions.shape == (4, 7)
    assert (pattern.contributions <= 0).all()
    np.testing.assert_allclose(pattern.frequencies.sum(0), 1)
    assert pattern.members.to_dict("records") == [{"example_idx": 3, "start": 5, "end": 15, "strand": "-"}]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_modisco_itself_finds_seqlets_where_motifs_were_planted(capfd):
    pytest.importorskip("modiscolite")
    made = plant(1000, seed=2)
    rows = np.flatnonzero(made.mask.any(1))
    own, mask = one_hot(made.data.codes[rows]), torch.from_numpy(made.mask[rows])[:, None]
    noise = 0.03 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0))
    options = {"grouping": "modisco", "n_leiden_runs": 2, "verbose": True}
    patterns = motifs(noise + mask * (own - 0.25), made.data.codes[rows], **options)
    (count,) = re.findall(r"Using (\d+) positive seqlets", capfd.readouterr().out)
    assert 400 <= int(count) <= 600  # one in nearly every sequence of label 1
    for pattern in patterns:
        assert max(similarity(pattern, known) for known in made.frequencies) > 0.9
