"""Parts of the data, and what they share."""

from dataclasses import replace

import numpy as np
import pytest

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import PAD, decode, reverse_complement
from genomics_adapter.leaks import leak_report
from genomics_adapter.row_hashes import row_hashes, strand_free_hashes
from genomics_adapter.sequences import SequenceData, read_arrays, read_splits, read_table
from genomics_adapter.similarity import _packed, kmer_size, similarity_groups
from genomics_adapter.splits import chromosome_split, random_split, similarity_split

RNG = np.random.default_rng(0)


def random_codes(count, length):
    return RNG.integers(0, 4, (count, length), dtype=np.uint8)


def mutated(codes, share):
    return np.where(RNG.random(codes.shape) < share, (codes + RNG.integers(1, 4, codes.shape)) % 4, codes).astype(
        np.uint8
    )


def rows_of(splits, data):
    """Numbers of the sequences in every part."""
    assert splits.train.source.name == data.source.name
    return [part.source.numbers.tolist() for part in splits if part is not None]


@pytest.mark.parametrize("split", [random_split, similarity_split])
def test_classes_may_be_written_as_floats(split, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{''.join(rng.choice(list('ACGT'), 30))},{float(number < 20)}" for number in range(120)]
    (tmp_path / "a.csv").write_text("sequence,label\n" + "\n".join(rows))
    data = read_table(tmp_path / "a.csv")
    assert data.labels.dtype == np.int64
    for one in (data, replace(data, labels=data.labels.astype(float))):
        assert [int(part.labels.sum()) for part in split(one)] == [16, 2, 2]
    halves = replace(data, labels=data.labels + 0.5)
    assert not any("class" in note for note in random_split(halves).train.notes)


def test_a_random_split_is_stratified_and_complete():
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    data = read_arrays(random_codes(1000, 20), labels)
    splits = random_split(data, seed=3)
    rows = rows_of(splits, data)
    assert sorted(row for part in rows for row in part) == list(range(1000))
    assert [np.bincount(part.labels).tolist() for part in splits] == [[720, 72, 8], [90, 9, 1], [90, 9, 1]]
    assert np.array_equal(splits.test.codes, data.codes[rows[2]])
    assert rows_of(random_split(data, seed=3), data) == rows
    assert rows_of(random_split(data, seed=4), data) != rows
    assert "test, split at random, every class by itself, seed 3" in splits.test.notes
    sizes = [len(part) for part in random_split(data, fractions=(0.5, 0.25, 0.25), stratify=False)]
    assert sizes == [500, 250, 250]
    assert random_split(data, fractions=(0.9, 0.1, 0)).test is None
    numbers = random_split(read_arrays(random_codes(50, 9), RNG.random(50)))
    assert len(numbers.train) == 40
    assert numbers.train.notes == ("train, split at random, seed 0",)


def test_repeated_sequences_stay_together_on_either_strand():
    own = random_codes(100, 20)
    data = read_arrays(np.concatenate([own, own[:60], reverse_complement(own[40:])]), np.arange(220) % 2)
    splits = random_split(data, seed=1)
    assert leak_report(train=splits.train, validation=splits.validation, test=splits.test).count == 0
    assert sorted(row for part in rows_of(splits, data) for row in part) == list(range(220))
    assert [len(part) for part in splits] == pytest.approx([176, 22, 22], abs=4)
    assert "120 repeated sequences with their first" in splits.train.notes[-1]


def test_a_split_by_chromosome():
    data = read_arrays(random_codes(6, 9), [0, 1] * 3, chromosomes=["1", "2", "3", "1", "2", "X"])
    assert rows_of(chromosome_split(data, validation="2", test=["3", "X"]), data) == [[0, 3], [1, 4], [2, 5]]
    assert chromosome_split(data, validation=["2"]).test is None
    assert rows_of(chromosome_split(data, validation=2, test=[np.int64(3), "X"]), data) == [[0, 3], [1, 4], [2, 5]]
    for arguments, message in (
        ({"validation": "7"}, "validation has chromosome '7', which is not among 1, 2, 3, X"),
        ({"validation": "2", "test": "2"}, "test has chromosome '2', which is named twice"),
        ({"validation": ["1", "2"], "test": ["3", "X"]}, "leaves none for train"),
        ({"validation": []}, "leaves none for validation"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            chromosome_split(data, **arguments)
    with pytest.raises(InvalidArgumentError, match="has no chromosomes; read it from a BED file"):
        chromosome_split(read_arrays(["ACGT"]), validation="1")


@pytest.mark.parametrize("length", [60, 101, 500])
def test_near_duplicates_never_straddle(length):
    first = random_codes(300, length)
    second, third = mutated(first, 0.01), reverse_complement(mutated(first, 0.01))
    labels = np.tile(RNG.integers(0, 2, 300), 3)
    data = read_arrays(np.concatenate([first, second, third]), labels)
    splits = similarity_split(data, seed=1)
    rows = rows_of(splits, data)
    assert sorted(row for part in rows for row in part) == list(range(900))
    families = [{row % 300 for row in part} for part in rows]
    assert sum(map(len, families)) == len(set.union(*families))
    assert [len(part) for part in rows] == pytest.approx([720, 90, 90], abs=6)
    for part in splits:
        assert part.labels.mean() == pytest.approx(labels.mean(), abs=0.05)
    assert rows_of(similarity_split(data, seed=1), data) == rows


def test_groups_are_those_of_the_families():
    families = random_codes(200, 120)
    codes = np.concatenate([families, mutated(families, 0.01)])
    groups = similarity_groups(codes)
    assert groups.dtype == np.int64
    assert np.array_equal(groups[:200], groups[200:])
    assert len(set(groups.tolist())) == 200
    overlapping = np.concatenate([codes[:1, :100], codes[:1, 20:]])
    assert len(set(similarity_groups(overlapping).tolist())) == 1


def test_sequences_without_certain_bases_are_no_family():
    codes = random_codes(50, 80)
    codes[10:20, ::5] = 14  # N: no k-mer is left
    groups = similarity_groups(codes)
    assert len(set(groups.tolist())) == 50
    codes[13] = codes[12]
    codes[15] = reverse_complement(codes[12])
    groups = similarity_groups(codes)
    assert groups[12] == groups[13] == groups[15]
    assert len(set(groups.tolist())) == 48
    short = read_arrays(["ACG", "CGT", "AAA", "ACG"])
    assert similarity_groups(short.codes).tolist() in ([0, 0, 1, 0], [1, 1, 0, 1])


@pytest.mark.parametrize("k", [1, 4, 7, 12, 15])
def test_numbers_of_kmers(k):
    codes = random_codes(3, 40)
    forward, backward = _packed(codes.astype(np.uint32), k)
    texts = [["".join(map(str, row[i : i + k])) for i in range(41 - k)] for row in codes]
    assert forward.tolist() == [[int(text, 4) for text in row] for row in texts]
    opposite = str.maketrans("0123", "3210")
    assert backward.tolist() == [[int(text.translate(opposite)[::-1], 4) for text in row] for row in texts]


def test_kmers_are_longer_where_there_is_more_to_compare():
    assert kmer_size(100, 100) == 8
    assert kmer_size(1_000_000, 500) == 10
    assert kmer_size(10**9, 10**6) == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fractions": (0.5, 0.5, 0.5)}, "must be shares for train, validation and test that add up to 1"),
        ({"fractions": (0.0, 0.5, 0.5)}, "that of train above 0"),
        ({"fractions": (1.5, -0.5, 0.0)}, "must be shares"),
        ({"fractions": (0.98, 0.01, 0.01)}, "leaves none for validation; supply more"),
    ],
)
def test_fractions_that_are_not_allowed(arguments, message):
    data = read_arrays(random_codes(9, 30))
    for split in (random_split, similarity_split):
        with pytest.raises(InvalidArgumentError, match=message):
            split(data, **arguments)


def test_other_arguments_of_similarity():
    codes = random_codes(9, 30)
    for arguments, message in (
        ({"k": 3}, "k is 3, but must be an integer of at least 4"),
        ({"k": 16}, "k is 16, but must be 4 to 15"),
        ({"threshold": 0.0}, r"threshold is 0\.0, but must lie above 0"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            similarity_groups(codes, **arguments)


def test_hashes_do_not_see_padding_or_the_strand():
    texts = ["ACGTTGCAAG", "--ACGTTGCAAG", "ACGTTGCAAG---", "CTTGCAACGT", "ACGTTGCAAC"]
    codes = read_arrays(texts, crop="start").codes
    hashes, both = row_hashes(codes), strand_free_hashes(codes)
    assert hashes[0] == hashes[1] == hashes[2] == row_hashes(read_arrays(texts[:1]).codes)[0]
    assert both[0] == both[3]
    assert len(set(hashes.tolist())) == 3
    assert len(set(both.tolist())) == 2
    assert len(set(row_hashes(random_codes(5000, 50)).tolist())) == 5000


def test_planted_leaks_are_counted_and_shown():
    train, validation, test = (random_codes(count, 30) for count in (200, 50, 40))
    validation[3], validation[7], validation[8] = train[10], train[11], train[11]
    test[0], test[1] = reverse_complement(train[20]), validation[5]
    test[2] = train[30]
    report = leak_report(
        **{
            name: read_arrays(codes, source=f"{name}.csv")
            for name, codes in (("train", train), ("validation", validation), ("test", test))
        }
    )
    found = {(pair.first, pair.second): (pair.exact, pair.reverse_complement, pair.size) for pair in report.pairs}
    assert found == {
        ("train", "validation"): (3, 0, 50),
        ("train", "test"): (1, 1, 40),
        ("validation", "test"): (1, 0, 40),
    }
    assert report.count == 6
    text = str(report)
    assert "6 % of validation is in train: 3 sequences, and 0 more as reverse complements" in text
    assert f"reverse complement: train.csv, sequence 20 and test.csv, sequence 0: {decode(test[:1])[0]}" in text
    assert report.as_dict()["pairs"][1]["examples"][0]["second"] == "test.csv, sequence 2"
    with pytest.raises(InvalidArgumentError, match=r"(?s)2\.5 % of test is in validation.*similarity_split"):
        report.check()


def test_leaks_are_found_whatever_the_padding():
    short, long = ["ACGTTGCA", "CCCCAAAATTT"], ["GGGGTTTTACGT", "TGCAACGT", "AAATTTTGGGG"]
    train, test = read_arrays(short), read_arrays(long, length=20, crop="end")
    pair = leak_report(train=train, test=test).pairs[0]
    assert (pair.exact, pair.reverse_complement) == (0, 2)
    padded = SequenceData(np.pad(train.codes, ((0, 0), (3, 5)), constant_values=PAD))
    assert leak_report(train=train, test=padded).pairs[0].exact == 2


def test_no_leaks():
    report = leak_report(train=read_arrays(random_codes(20, 30)), test=read_arrays(random_codes(20, 30)))
    report.check()
    assert report.count == 0
    assert str(report) == "train and test share no sequence"
    assert str(leak_report(train=read_arrays(["ACGT"]))) == "there is one part only"


def test_a_palindrome_is_an_exact_leak():
    pair = leak_report(train=read_arrays(["ACGT"]), test=read_arrays(["ACGT"])).pairs[0]
    assert (pair.exact, pair.reverse_complement) == (1, 0)


def test_published_splits_of_real_data(gue):
    train, validation, test = read_splits(gue("gue_prom_core_tata"))
    report = leak_report(train=train, validation=validation, test=test)
    texts = [set(decode(part.codes)) for part in (train, validation, test)]
    other = [set(decode(reverse_complement(part.codes))) for part in (train, validation, test)]
    for pair, (a, b) in zip(report.pairs, ((0, 1), (0, 2), (1, 2)), strict=True):
        part = decode((train, validation, test)[b].codes)
        assert pair.exact == sum(text in texts[a] for text in part)
        assert pair.reverse_complement == sum(text in other[a] and text not in texts[a] for text in part)
    apart = similarity_split(train)
    assert leak_report(train=apart.train, validation=apart.validation, test=apart.test).count == 0
