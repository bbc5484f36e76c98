"""Codes and one-hot columns, compared with a loop over letters."""

from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import ALPHABET, decode, encode, fitted, one_hot, reverse_complement

LETTERS = "ACGTURYSWKMBDHVNacgturyswkmbdhvn-."
BASES = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT", "-": "",
}  # fmt: skip
OPPOSITE = dict(zip("ACGTRYSWKMBDHVN-", "TGCAYRSWMKVHDBN-", strict=True))
texts = st.lists(st.text(LETTERS, min_size=1, max_size=40), min_size=1, max_size=12)


def plain(text):
    return text.upper().replace("U", "T").replace(".", "-")


def slow_fit(text, length, crop):
    offset = {"center": length // 2 - len(text) // 2, "start": 0, "end": length - len(text)}[crop]
    return "".join(text[i - offset] if 0 <= i - offset < len(text) else "-" for i in range(length))


def slow_one_hot(text, ambiguous):
    result = torch.zeros(4, len(text))
    for place, letter in enumerate(text):
        bases = BASES[letter]
        for base in bases:
            if len(bases) == 1 or ambiguous == "fractions":
                result["ACGT".index(base), place] = 1 / len(bases)
    return result


@settings(max_examples=40, deadline=None)
@given(texts, st.sampled_from(["center", "start", "end"]), st.one_of(st.none(), st.integers(1, 50)))
def test_codes_are_those_of_a_loop_over_letters(sequences, crop, length):
    codes = encode(sequences, length=length, crop=crop)
    size = length or max(map(len, sequences))
    assert codes.dtype == np.uint8
    assert codes.shape == (len(sequences), size)
    assert decode(codes) == [slow_fit(plain(text), size, crop) for text in sequences]


@settings(max_examples=40, deadline=None)
@given(texts)
def test_one_hot_columns_are_those_of_a_loop_over_letters(sequences):
    codes = encode(sequences)
    for ambiguous in ("zeros", "fractions"):
        expected = torch.stack([slow_one_hot(text, ambiguous) for text in decode(codes)])
        for given_codes in (codes, torch.from_numpy(codes)):
            columns = one_hot(given_codes, ambiguous=ambiguous)
            assert columns.dtype == torch.float32
            assert columns.is_contiguous()
            assert torch.equal(columns, expected)
        assert torch.equal(one_hot(codes[0], ambiguous=ambiguous), expected[0])


@settings(max_examples=40, deadline=None)
@given(texts)
def test_the_other_strand(sequences):
    codes = encode(sequences)
    there = reverse_complement(codes)
    assert decode(there) == ["".join(OPPOSITE[letter] for letter in text[::-1]) for text in decode(codes)]
    assert np.array_equal(reverse_complement(there), codes)
    assert torch.equal(reverse_complement(torch.from_numpy(codes)), torch.from_numpy(there))
    for ambiguous in ("zeros", "fractions"):
        assert torch.equal(one_hot(there, ambiguous=ambiguous), one_hot(codes, ambiguous=ambiguous).flip(1, 2))


@settings(max_examples=40, deadline=None)
@given(texts, st.sampled_from(["center", "start", "end"]), st.integers(1, 60))
def test_fitting_codes_is_fitting_texts(sequences, crop, length):
    same = [text[: min(map(len, sequences))] for text in sequences]
    assert np.array_equal(fitted(encode(same), length, crop), encode(same, length=length, crop=crop))


@pytest.mark.parametrize("length", [None, 3, 700])
def test_many_portions_are_as_one(length, monkeypatch):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list(LETTERS), size)) for size in rng.integers(1, 600, 300)]
    whole = encode(sequences, length=length)
    monkeypatch.setattr("genomics_adapter.encoding._AT_ONCE", 1000)
    assert np.array_equal(encode(sequences, length=length), whole)


def test_texts_come_in_any_container():
    texts = ["ACGT", "acg", "N"]
    expected = encode(texts)
    containers = [
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        np.array(texts, dtype=bytes),
        np.array(texts, dtype=np.dtypes.StringDType()),
        deque(texts),
        dict.fromkeys(texts).keys(),
        *(pd.Series(texts, index=index) for index in ([7, 8, 9], [-1.0, 0.0, 1.0], [2.0, 1.0, 0.0], [0.3, 0.1, 0.2])),
        pd.Index(texts),
        pa.array(texts),
        pa.chunked_array([texts[:1], texts[1:]]),
    ]
    for container in containers:
        assert np.array_equal(encode(container), expected)
    assert np.array_equal(encode(text for text in texts), expected)


def test_documented_places():
    assert ALPHABET[:4] == "ACGT"
    assert decode(encode(["ACGTN-"])) == ["ACGTN-"]
    assert encode(["ACGTN-"]).tolist() == [[0, 1, 2, 3, 14, 15]]
    assert encode([], length=5).shape == (0, 5)
    assert decode(encode([])) == []
    assert one_hot(np.zeros((0, 7), np.uint8)).shape == (0, 4, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ACGT",), "sequences is one text, but must be a list"),
        ((np.zeros((2, 3), np.uint8),), r"array of uint8 with shape \(2, 3\), but must be texts"),
        ((pd.DataFrame({"sequence": ["AC"]}),), r"sequences is a DataFrame with shape \(1, 1\), but must be texts"),
        (([[[0.0] * 100] * 4],), r"^sequence 0 is .{,200}, but must be a text"),
        ((["AC", ""],), "sequence 1 is empty; drop it"),
        ((["AC", None],), "sequence 1 is None, but must be a text"),
        ((["AC", float("nan")],), "sequence 1 is nan, but must be a text"),
        ((["ACGT", "ACXT"],), "sequence 1 has 'X' at base 3; allowed are A, C, G, T, U"),
        ((["ACGT", "AC T"],), "sequence 1 has ' ' at base 3"),
        ((["ACGT", "ACG\u0391"],), "sequence 1 has 'Α' at base 4"),
        ((["ACGT", "é"],), "sequence 1 has 'é' at base 1"),
    ],
)
def test_what_is_no_sequence(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        encode(*arguments)


def test_an_illegal_character_is_found_where_it_is_however_many_there_are():
    with pytest.raises(InvalidArgumentError, match=r"^row 9000 has '\*' at base 300;"):
        encode(["ACGT" * 75] * 9_000 + ["A" * 299 + "*"], where=lambda index: f"row {index}")


def test_other_arguments_that_are_not_allowed():
    with pytest.raises(InvalidArgumentError, match="crop is 'left', but must be one of 'center', 'start', 'end'"):
        encode(["A"], crop="left")
    with pytest.raises(InvalidArgumentError, match="length is 0, but must be an integer of at least 1"):
        encode(["A"], length=0)
    with pytest.raises(InvalidArgumentError, match="ambiguous is 'half', but must be 'zeros' or 'fractions'"):
        one_hot(np.zeros((1, 2), np.uint8), ambiguous="half")
    for codes in (np.array([[65, 67]], np.uint8), np.zeros((1, 2)), np.uint8(3)):
        for function in (one_hot, decode, reverse_complement):
            with pytest.raises(InvalidArgumentError, match=r"codes are .* but must be uint8 \(N, L\) from 0 to 15"):
                function(codes)
    with pytest.raises(InvalidArgumentError, match=r"codes have shape \(3,\), but must have \(N, L\)"):
        decode(np.zeros(3, np.uint8))
