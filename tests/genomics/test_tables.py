"""Sequences in tables, folders and memory."""

import gzip
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dasha.errors import InvalidArgumentError, InvalidTableError
from genomics_adapter.encoding import decode, encode, one_hot
from genomics_adapter.sequences import (
    SequenceData,
    SequenceSplits,
    read_arrays,
    read_class_folder,
    read_splits,
    read_table,
)

ROWS = "sequence,label\nACGT,1\nacgn,0\nTTTT,1\n"
FRAME = pd.DataFrame({"sequence": ["ACGT", "acgn", "TTTT"], "label": [1, 0, 1]})


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FILES = {
    "plain.csv": ROWS,
    "packed.csv.gz": ROWS,
    "windows.csv": ROWS.replace("\n", "\r\n"),
    "mark.csv": "\ufeff" + ROWS,
    "tabs.tsv": ROWS.replace(",", "\t"),
    "semicolons.csv": ROWS.replace(",", ";"),
    "blanks.csv": "\n" + ROWS.replace("\nacgn", "\n\nacgn") + "\n\n",
    "commas in names.tsv": "label, bound\tsequence\tlabel\n1\tACGT\t1\n0\tacgn\t0\n1\tTTTT\t1\n",
    "quoted names.csv": 'sequence;label;"a, b, c"\nACGT;1;0\nacgn;0;0\nTTTT;1;0\n',
    "hard spaces.csv": ROWS.replace("ACGT", "\xa0ACGT\xa0").replace("acgn,", "acgn\u3000,\xa0"),
    "rows of separators.csv": ROWS + ",\n,\n",
    "hint.csv": "sep=;\n" + ROWS.replace(",", ";").replace("\nacgn", "\n;\nacgn"),
    "quoted hint.csv": '"SEP=;";;\n' + ROWS.replace(",", ";"),
    "spaces.csv": "sequence , label\n ACGT, 1\nacgn ,0 \nTTTT,1\n",
    "quoted.csv": 'id,label,sequence\n"a,b",1,"ACGT"\nc,0,"acgn"\nd,1,TTTT\n',
    'it\'s a; "name" ä.csv': ROWS,
}


@pytest.mark.parametrize("name", FILES)
def test_text_files(name, tmp_path):
    data = read_table(write(tmp_path / name, FILES[name]))
    assert decode(data.codes) == ["ACGT", "ACGN", "TTTT"]
    assert data.labels.tolist() == [1, 0, 1]
    assert data.labels.dtype == np.int64
    expected = {"blanks.csv": [3, 5, 6], "hint.csv": [3, 5, 6], "quoted hint.csv": [3, 4, 5]}.get(name, [2, 3, 4])
    assert data.source.numbers.tolist() == expected
    assert str(data.source) == str(tmp_path / name)


def test_lists_of_labels_are_columns(tmp_path):
    FRAME.assign(label=[[0, 1], [1, 1], [0, 0]]).to_parquet(tmp_path / "a.parquet")
    data = read_table(tmp_path / "a.parquet")
    assert data.labels.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert data.class_names == data.label_names == ()
    FRAME.assign(label=[[0, 1], [1], [0, 0]]).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InvalidArgumentError, match=r"b\.parquet, row 2 has \[1\] in column 'label', but every"):
        read_table(tmp_path / "b.parquet")


def test_parquet_files(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.astype({"sequence": "category", "label": "float64"}).to_parquet(tmp_path / "b.pq")
    for name in ("a.parquet", "b.pq"):
        data = read_table(tmp_path / name)
        assert decode(data.codes) == ["ACGT", "ACGN", "TTTT"]
        assert data.labels.tolist() == [1, 0, 1]
        assert data.labels.dtype == np.int64
        assert data.source.place(2) == f"{tmp_path / name}, row 3"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()])
def test_texts_in_parquet_files_may_be_of_any_type(kind, tmp_path):
    columns = {"sequence": ["ACGT", "acgn"], "label": ["yes", "no"], "id": ["a", None], "chr": ["1", "2"]}
    pq.write_table(pa.table({name: pa.array(texts).cast(kind) for name, texts in columns.items()}), tmp_path / "a.pq")
    data = read_table(tmp_path / "a.pq", name="id", chromosome="chr")
    assert decode(data.codes) == ["ACGT", "ACGN"]
    assert (data.labels.tolist(), data.class_names) == ([1, 0], ("no", "yes"))
    assert data.names.tolist() == ["a", f"{tmp_path / 'a.pq'}, row 2"]
    assert data.chromosomes.tolist() == ["1", "2"]
    pq.write_table(pa.table({"sequence": pa.array([b"\xff"])}), tmp_path / "b.pq")
    with pytest.raises(InvalidTableError, match=r"b\.pq cannot be read as Parquet: Invalid UTF8"):
        read_table(tmp_path / "b.pq", label=None)


def test_small_floats_are_labels_as_any_others(tmp_path):
    FRAME.astype({"label": "float16"}).to_parquet(tmp_path / "a.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_table(tmp_path / "a.parquet").labels.tolist() == [1, 0, 1]
        assert read_arrays(["A", "C"], np.array([0.5, 1], np.float16)).labels.tolist() == [0.5, 1]


def test_truth_values_in_several_columns_are_labels(tmp_path):
    path = write(tmp_path / "a.csv", "sequence,a,b,c\nACGT,TRUE,0,true\nACGA,FALSE,1,False\n")
    data = read_table(path, label=["a", "b", "c"])
    assert (data.labels.tolist(), data.labels.dtype) == ([[1, 0, 1], [0, 1, 0]], np.int64)
    assert read_table(path, label="a").class_names == ("FALSE", "TRUE")
    for kinds in ({}, {"a": "Int64", "b": "boolean"}):
        frame = pd.DataFrame({"a": [1, 0], "b": [True, False]}).astype(kinds)
        labels = read_arrays(["AC", "AG"], frame).labels
        assert (labels.tolist(), labels.dtype) == ([[1, 1], [0, 0]], np.int64)
    frame["b"] = pd.array([True, None], dtype="boolean")
    with pytest.raises(InvalidArgumentError, match=r"labels of sequences, value 3 has no label"):
        read_arrays(["AC", "AG"], frame)


def test_other_columns(tmp_path):
    path = write(tmp_path / "a.csv", "seq,chrom,id,x,y\nACGT,chr1,a,1,2.5\nAC,chr2,b,0,-1\n")
    data = read_table(path, sequence="seq", label=["x", "y"], name="id", chromosome="chrom")
    assert data.labels.tolist() == [[1, 2.5], [0, -1]]
    assert data.label_names == data.subset([1]).label_names == ("x", "y")
    assert read_table(path, sequence="seq", label=["x"]).label_names == ()
    assert data.names.tolist() == ["a", "b"]
    assert data.chromosomes.tolist() == ["chr1", "chr2"]
    assert decode(data.codes) == ["ACGT", "-AC-"]
    assert "sequences have 2 to 4 bases: 1 are padded and 0 cropped to 4, centred" in data.describe()
    assert read_table(path, sequence="seq", label=None).labels is None
    assert "no labels" in read_table(path, sequence="seq", label=None).describe()


def test_a_table_may_be_packed_as_genomes_are(tmp_path):
    (tmp_path / "a.csv.bgz").write_bytes(gzip.compress(ROWS.encode()))
    assert read_table(tmp_path / "a.csv.bgz").labels.tolist() == [1, 0, 1]


def test_names_and_chromosomes_have_no_blanks_around_them(tmp_path):
    path = write(tmp_path / "a.csv", "sequence,label,chr,id\nACGT,1,chr1 , a\nACGA,0, chr2,\nACGC,1,chr2,c\n")
    data = read_table(path, chromosome="chr", name="id")
    assert data.chromosomes.tolist() == ["chr1", "chr2", "chr2"]
    assert data.names.tolist() == ["a", f"{path}, line 3", "c"]
    assert read_arrays(["A", "C"], chromosomes=[" 1", 2.0]).chromosomes.tolist() == ["1", "2"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_missing_chromosome_is_refused(tmp_path, ending):
    frame = pd.DataFrame({"sequence": ["ACGT", "ACGA", "ACGC"], "label": [0, 1, 0], "chr": [1, 2, None]})
    path = tmp_path / f"a.{ending}"
    write_frame = partial(frame.to_csv, index=False) if ending == "csv" else frame.to_parquet
    write_frame(path)
    place = "line 4" if ending == "csv" else "row 3"
    with pytest.raises(InvalidArgumentError, match=rf"a\.{ending}, {place} has no chromosome \(1 sequences have none"):
        read_table(path, chromosome="chr")
    frame["chr"] = [1.0, 2.0, 2.0]
    write_frame(path)
    assert read_table(path, chromosome="chr").chromosomes.tolist() == ["1", "2", "2"]


def test_words_become_classes(tmp_path):
    path = write(tmp_path / "a.csv", "sequence,label\nACGT,yes\nACGA,no\nAAAA,yes\n")
    data = read_table(path)
    assert (data.labels.tolist(), data.class_names) == ([1, 0, 1], ("no", "yes"))
    assert "labels: no 1, yes 2" in data.describe()
    named = read_table(write(tmp_path / "b.csv", "sequence,label\nACGT,NA\nACGA,b\n"), class_names=("NA", "b"))
    assert named.labels.tolist() == [0, 1]
    data = read_table(path, class_names=("yes", "no", "maybe"))
    assert (data.labels.tolist(), data.class_names) == ([0, 1, 0], ("yes", "no", "maybe"))


def test_a_subset_keeps_its_places(tmp_path):
    data = read_table(write(tmp_path / "a.csv", ROWS))
    part = data.subset([2, 0]).subset(np.array([True, False]))
    assert decode(part.codes) == ["TTTT"]
    assert part.labels.tolist() == [1]
    assert part.source.place(0).endswith("a.csv, line 4")
    assert read_arrays(["A", "C", "G"]).subset([2]).source.place(0) == "sequences, sequence 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROWS.replace("acgn", "acgx"), r"a\.csv, line 3 has 'x' at base 4; allowed"),
        (ROWS.replace("acgn", ""), r"a\.csv, line 3 is empty; drop it"),
        (ROWS.replace("TTTT,1", "TTTT,"), r"a\.csv, line 4 has no label; supply it"),
        (ROWS.replace("TTTT,1", "TTTT,one"), r"a\.csv, line 4 has label 'one', which is no finite number, although"),
        (ROWS.replace("TTTT,1", "TTTT,nan"), r"a\.csv, line 4 has label 'nan', which is no finite number"),
        (ROWS.replace("TTTT,1", "TTTT,inf"), r"a\.csv, line 4 has label 'inf', which is no finite number"),
        (
            ROWS.replace(",1", ",b").replace(",0", ",NA"),
            r"a\.csv, line 3 has label 'NA', which says that it is missing; drop",
        ),
        (ROWS.replace(",1", ",b").replace(",0", ",null"), r"a\.csv, line 3 has label 'null', which says that"),
        (
            ROWS.replace("acgn", "nan"),
            r"a\.csv, line 3 is 'nan', which says that the sequence is missing; supply it or",
        ),
        (
            "sequence;label\nACGT;0,8\nACGA;-1.000,5\nACGC;,5E-3\n",
            r"a\.csv, line 2 has label '0,8', a number with a decimal comma; write '0\.8'",
        ),
        ("sequence,label\n", r"a\.csv holds no sequences"),
        ("sequence,label\n" + "".join(f"ACGT,w{n}\n" for n in range(20)), "has 20 different words as labels of 20"),
    ],
    ids=range(12),
)
def test_what_is_wrong_is_said_with_its_line(content, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        read_table(write(tmp_path / "a.csv", content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "seq,label\nAC,1\n", r"a\.csv has no column 'sequence'; its columns are seq, label: say which"),
        ("a.csv", "sequence,sequence,label\nA,C,1\n", "has several columns 'sequence'"),
        ("a.csv", ROWS + "ACGT,1,2\n", r"a\.csv, line 5 has 3 fields, but the header has 2"),
        ("a.csv", ROWS + "ACGT\n", r"a\.csv, line 5 has 1 fields, but the header has 2"),
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "sep=;\n\n", r"a\.csv has no column 'sequence'"),
        ("a.docx", "x", r"ends in '\.docx', but must end in \.csv, \.tsv"),
        ("a.parquet", "not parquet", r"a\.parquet cannot be read as Parquet"),
        ("a.csv", b"PK\0\0", r"a\.csv is not a text file"),
    ],
    ids=range(9),
)
def test_files_that_are_no_table(name, content, message, tmp_path):
    with pytest.raises(InvalidTableError, match=message):
        read_table(write(tmp_path / name, content))


def test_other_errors_of_tables(tmp_path):
    with pytest.raises(InvalidTableError, match=r"b\.csv does not exist"):
        read_table(tmp_path / "b.csv")
    path = write(tmp_path / "a.csv", "sequence,label\nAC,yes\nAC,no\n")
    with pytest.raises(InvalidArgumentError, match=r"line 3 has label 'no', but the classes are yes, off"):
        read_table(path, class_names=("yes", "off"))
    with pytest.raises(InvalidArgumentError, match=r"line 2 has label 'yes', but several label columns must all be"):
        read_table(path, label=["label", "label"])
    FRAME.assign(sequence=[1, 2, 3]).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(InvalidTableError, match=r"column 'sequence' of .* holds int64, but must hold sequences"):
        read_table(tmp_path / "n.parquet")
    FRAME.assign(sequence=["A", None, "C"]).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(InvalidArgumentError, match=r"m\.parquet, row 2 is None, but must be a text"):
        read_table(tmp_path / "m.parquet")


def test_sequences_longer_than_a_block(tmp_path):
    text = "ACGTTGCA" * 2_000_000
    data = read_table(write(tmp_path / "a.csv", f"sequence,label\n{text},1\nAC,0\n"), length=10)
    assert decode(data.codes) == [text[8_000_000 - 5 : 8_000_000 + 5], "----AC----"]


def test_arrays():
    texts = ["ACGT", "ACGN"]
    codes = encode(texts)
    columns = one_hot(codes)
    arrays = np.array(texts), codes, torch.tensor(codes), columns, columns.numpy(), columns.numpy().astype(bool)
    varying = np.array(texts, dtype=np.dtypes.StringDType())
    for given in (texts, *arrays, varying, pd.DataFrame({"bases": texts}), pd.Series(texts), iter(texts)):
        data = read_arrays(given, [1, 0], names=["a", "b"], chromosomes=["1", "2"])
        assert decode(data.codes) == texts
        assert data.labels.tolist() == [1, 0]
        assert data.names.tolist() == ["a", "b"]
    assert np.shares_memory(read_arrays(codes).codes, codes)
    assert decode(read_arrays(codes, length=2).codes) == ["CG", "CG"]
    assert read_arrays(texts, np.zeros((2, 3, 4))).labels.shape == (2, 3, 4)
    assert read_arrays(texts, ["b", "a"]).class_names == ("a", "b")
    assert read_arrays(texts, [True, False]).labels.tolist() == [1, 0]


@pytest.mark.parametrize("form", [list, np.array, pd.Series, partial(pd.Series, index=[2, 0, 1])])
def test_data_takes_rows_in_their_order_in_any_form(form):
    texts = ["ACGT", "CCGT", "GCGT"]
    rows = {"labels": [2, 0, 1], "starts": [5, 6, 7]}
    words = {"names": ["a", "b", "c"], "chromosomes": ["1", "2", "3"], "strands": ["+", "-", "+"]}
    data = SequenceData(encode(texts), **{name: form(values) for name, values in (rows | words).items()})
    part = data.subset([2, 0])
    for name, values in (rows | words).items():
        assert getattr(data, name).tolist() == values
        assert getattr(part, name).tolist() == [values[2], values[0]]
    assert "labels: 0 1, 1 1, 2 1" in data.describe()
    tensors = SequenceData(torch.tensor(encode(texts)), torch.tensor(rows["labels"]))
    assert np.array_equal(tensors.codes, data.codes)
    assert tensors.subset([1]).labels.tolist() == [0]


@pytest.mark.parametrize(
    ("sequences", "labels", "message"),
    [
        (np.zeros((2, 5, 4)), None, r"shape \(2, 5, 4\), but must be texts .* one-hot columns .* need \.transpose"),
        (np.full((2, 4, 3), 0.5), None, "but must be texts"),
        (np.ones((2, 4, 3)), None, "but must be texts"),
        (np.full((2, 3), 65, np.uint8), None, "array of uint8 with shape"),
        (np.zeros((0, 4, 3)), None, "must hold at least one sequence"),
        (pd.DataFrame({"a": ["A"], "b": ["C"]}), None, "sequences has 2 columns of texts, but must have one sequence"),
        ("ACGT", None, "sequences is one text, but must be a list of them"),
        ([], None, "sequences holds no sequences"),
        (["A", "C"], [1], "there are 1 labels for 2 sequences of sequences"),
        (["A", "C"], 1, "labels is 1, but must be an array"),
        (["A", "C"], [1.0, float("nan")], "sequences, sequence 1 has no label"),
        (["A", "C"], [1.0, float("inf")], "sequences, sequence 1 has label 'inf'"),
    ],
    ids=range(12),
)
def test_arrays_that_are_no_sequences(sequences, labels, message):
    with pytest.raises(InvalidArgumentError, match=message):
        read_arrays(sequences, labels)


def test_a_folder_with_parts(tmp_path):
    write(tmp_path / "train.csv", "sequence,label\nACGT,b\nAC,a\nA,c\n")
    write(tmp_path / "dev.tsv", "sequence\tlabel\nACGTAC\tc\n")
    train, validation, test = read_splits(tmp_path)
    assert decode(train.codes) == ["-ACGT-", "--AC--", "---A--"]
    assert validation.labels.tolist() == [2]
    assert test is None
    assert read_splits(tmp_path, length=2, crop="start").validation.length == 2
    assert "cropped or padded from 4 to 6 bases" in train.describe()
    write(tmp_path / "test.csv.gz", "sequence,label\nACGT,d\n")
    with pytest.raises(InvalidArgumentError, match=r"test\.csv\.gz, line 2 has label 'd', but the classes are a, b, c"):
        read_splits(tmp_path)
    write(tmp_path / "val.csv", ROWS)
    with pytest.raises(InvalidArgumentError, match=r"has val\.csv and dev\.tsv, both for validation"):
        read_splits(tmp_path)
    with pytest.raises(InvalidArgumentError, match="nowhere does not exist; check its name"):
        read_splits(tmp_path / "nowhere")
    with pytest.raises(
        InvalidArgumentError, match=r"val\.csv is a file, but must be a folder; .*read_file reads a file"
    ):
        read_splits(tmp_path / "val.csv")
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(InvalidArgumentError, match=r"has no train\.csv, nor .*; there is dev\.tsv, test\.csv\.gz$"):
        read_splits(tmp_path)


def test_parts_that_were_read_alone_number_their_classes_as_the_training_data(tmp_path):
    train = read_table(write(tmp_path / "train.csv", "sequence,label\nA,brain\nC,heart\nG,liver\n"))
    validation = read_table(write(tmp_path / "val.csv", ROWS))
    test = read_table(write(tmp_path / "test.csv", "sequence,label\nA,liver\nC,brain\n"))
    splits = SequenceSplits(train, validation, test)
    assert test.labels.tolist() == [1, 0]
    assert (splits.test.labels.tolist(), splits.test.class_names) == ([2, 0], ("brain", "heart", "liver"))
    assert splits.validation is validation
    assert "labels: brain 1, liver 1" in splits.test.describe()
    message = r"train\.csv, line 3 is of class 'heart', but the classes are brain, liver; read all parts with the same"
    with pytest.raises(InvalidArgumentError, match=message):
        SequenceSplits(test, train)
    known = read_table(tmp_path / "test.csv", class_names=("liver", "kidney", "brain"))
    assert SequenceSplits(train, test=known).test.labels.tolist() == [2, 0]


def test_a_folder_of_classes(tmp_path):
    for name, text in (("no/1.txt", "ACGT\n"), ("no/2.txt", "ac"), ("yes/1.txt", "GG")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, text)
    data = read_class_folder(tmp_path)
    assert decode(data.codes) == ["ACGT", "-AC-", "-GG-"]
    assert (data.labels.tolist(), data.class_names) == ([0, 0, 1], ("no", "yes"))
    assert data.source.place(2).endswith("file yes/1.txt")
    with pytest.raises(InvalidArgumentError, match="has a folder 'yes', but the classes are no"):
        read_class_folder(tmp_path, class_names=("no",))
    write(tmp_path / "yes/1.txt", "")
    with pytest.raises(InvalidArgumentError, match=r"file yes/1\.txt is empty"):
        read_class_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match=r"has no folders with \.txt files"):
        read_class_folder(tmp_path / "empty")
    with pytest.raises(InvalidArgumentError, match="nowhere does not exist"):
        read_class_folder(tmp_path / "nowhere")


def test_real_data(gue):
    train, validation, test = read_splits(gue("gue_mouse_2"))
    frame = pd.read_csv(gue("gue_mouse_2") / "train.csv")
    assert decode(train.codes) == frame.sequence.tolist()
    assert train.labels.tolist() == frame.label.tolist()
    assert [len(part) for part in (train, validation, test)] == [2620, 328, 328]
