"""The reader of ``.tsf`` files, on small files written here, and on the archive's own where they are."""

import gzip
import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasha.errors import InvalidTableError
from dasha.tables import read_series, read_tsf
from dasha.tables.tsf import FREQUENCIES, season_length_of

HEADER = [
    "# a comment, in latin-1: é",
    "@relation Tiny",
    "@attribute series_name string",
    "@attribute start_timestamp date",
    "@frequency monthly",
    "@horizon 2",
    "@missing true",
    "@equallength false",
    "@data",
]
ROWS = ["T1:2000-01-01 00-00-00:1,2,?,4.5", "T2:2001-03-01 00-00-00:7"]


@pytest.fixture
def write(tmp_path):
    def write(lines, *, name="tiny.tsf", newline="\n", encoding="utf-8"):
        content = newline.join(lines).encode(encoding)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def with_line(tag, line):
    """The small file with one line of its header replaced, or left out for None."""
    header = [line if one.startswith(tag) else one for one in HEADER]
    return [one for one in header if one is not None] + ROWS


@pytest.mark.parametrize("name", ["tiny.tsf", "tiny.tsf.gz", "TINY.TSF"])
@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "latin-1"), ("\n", "utf-8-sig")])
def test_everything_is_read(write, name, newline, encoding):
    data = read_tsf(write(["", *HEADER, "", *ROWS, ""], name=name, newline=newline, encoding=encoding))
    assert (data.relation, data.frequency, data.freq, data.season_length) == ("Tiny", "monthly", "MS", 12)
    assert (data.horizon, data.attributes, data.notes) == (2, ("series_name", "start_timestamp"), ())
    first, second = data.series
    np.testing.assert_array_equal(first.values, [1, 2, np.nan, 4.5])
    assert (first.name, first.start, first.line, dict(first.attributes)) == ("T1", pd.Timestamp("2000-01-01"), 12, {})
    assert (second.values.tolist(), second.values.dtype, second.line) == ([7.0], np.float64, 13)


def test_what_a_file_may_leave_out(write):
    data = read_tsf(write(["@data", "1,2,3", "4,5"]))
    assert (data.relation, data.frequency, data.freq, data.season_length, data.horizon) == ("", None, None, 1, None)
    assert [(one.name, one.start) for one in data.series] == [("T1", None), ("T2", None)]


def test_attributes_of_every_type_and_colons_inside_times(write):
    header = [
        "@attribute state string",
        "@attribute size numeric",
        "@attribute opened date",
        "@attribute start_timestamp date",
        "@frequency half_hourly",
        "@data",
    ]
    data = read_tsf(
        write([*header, "NSW:1.5:1999-12-31:2002-01-01 00:30:00:1,2", "VIC:-2:2000-1-2:2002-01-01T06:00:15:3"])
    )
    first, second = data.series
    assert (first.name, dict(first.attributes)) == ("NSW", {"size": 1.5, "opened": pd.Timestamp("1999-12-31")})
    assert (first.start, second.start) == (pd.Timestamp("2002-01-01 00:30"), pd.Timestamp("2002-01-01 06:00:15"))
    assert second.values.tolist() == [3.0]


def test_names_in_latin_1_are_told(write):
    data = read_tsf(write([*HEADER, "Orléans:2000-01-01 00-00-00:1"], encoding="latin-1"))
    assert data.series[0].name == "Orléans"
    assert "Latin-1" in data.notes[0]


@pytest.mark.parametrize(
    ("frequency", "freq", "season"),
    [
        ("4_seconds", "4s", 21600),
        ("minutely", "min", 1440),
        ("10_minutes", "10min", 144),
        ("half_hourly", "30min", 48),
        ("hourly", "h", 24),
        ("daily", "D", 7),
        ("weekly", "W", 52),
        ("monthly", "MS", 12),
        ("quarterly", "QS", 4),
        ("yearly", "YS", 1),
    ],
)
def test_frequencies_and_their_seasons(write, frequency, freq, season):
    data = read_tsf(write(with_line("@frequency", f"@frequency {frequency}")))
    assert (data.freq, data.season_length, season_length_of(frequency)) == (freq, season, season)
    step = {"W": "W-SAT", "QS": "QS-JAN", "YS": "YS-JAN"}.get(freq, freq)
    series = read_series(data.path).series[0]
    pd.testing.assert_index_equal(series.index, pd.date_range("2000-01-01", periods=4, freq=step))


def test_seasons_are_those_of_the_backtest():
    pytest.importorskip("darts")
    from darts_autoar.windows import season_of

    for name, (freq, season) in FREQUENCIES.items():
        if name != "4_seconds":  # a day there, a minute for tables of seconds
            assert season_of(pd.date_range("2000-01-01", periods=3, freq=freq)) == season, name


@pytest.mark.parametrize(
    ("start", "frequency", "first", "freq"),
    [
        ("1990-10-01 12-00-00", "quarterly", "1990-10-01 12:00", "QS-OCT"),
        ("1990-01-31 00-00-00", "monthly", "1990-01-31", "ME"),
        ("1990-06-30 00-00-00", "yearly", "1990-06-30", "YE-JUN"),
        ("1990-06-15 00-00-00", "yearly", "1990-06-01", "YS-JUN"),
        ("1999-12-05 00-00-00", "weekly", "1999-12-05", "W-SUN"),
    ],
)
def test_times_keep_the_anchor_of_their_start(write, start, frequency, first, freq):
    data = read_series(write([*with_line("@frequency", f"@frequency {frequency}")[:-2], f"a:{start}:1,2,3"]))
    index = data.series[0].index
    assert (index[0], index.freqstr, data.freq) == (pd.Timestamp(first), freq, freq)
    assert ("first day of their month" in "".join(data.notes)) == ("-15" in start)


def test_times_that_pandas_cannot_hold_become_row_numbers(write):
    header = with_line("@frequency", "@frequency yearly")[:-2]
    data = read_series(write([*header, "a:1999-01-01 00-00-00:1,2", "b:1650-01-01 00-00-00:1,2,3"]))
    assert [list(one.index) for one in data.series] == [[1, 2], [1, 2, 3]]
    assert "'b' (line 11)" in data.notes[0]
    assert data.time_column is None


def test_a_series_of_missing_values_is_a_series(write):
    data = read_series(write([*HEADER, *ROWS, "T3:2000-01-01 00-00-00:?,?,?"]))
    assert [(one.id, one.steps, one.missing) for one in data.series] == [("T1", 4, 1), ("T2", 1, 0), ("T3", 3, 3)]


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_the_only_file_of_an_archive_is_read(tmp_path):
    text = "\n".join([*HEADER, *ROWS])
    members = {"data/": "", "data/tiny.tsf": text, "read.me": "", "__MACOSX/data/._tiny.tsf": "x"}
    for name in ("tiny.zip", "tiny.tsf.zip", "TINY.ZIP"):
        path = zipped(tmp_path / name, **members)
        data = read_tsf(path)
        assert [one.name for one in data.series] == ["T1", "T2"]
        assert (data.path, data.sha256) == (path, hashlib.sha256(path.read_bytes()).hexdigest())
        assert len(read_series(path).series) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["TINY.ZIP", "tiny.tsf.zip", "tiny.zip"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds no file, but must hold exactly one .tsf file"),
        (
            {"a.tsf": "x", "b.TSF": "x"},
            "holds a.tsf, b.TSF, but must hold exactly one .tsf file; give that file itself",
        ),
        ({f"{number}.csv": "x" for number in range(9)}, "6.csv, 7.csv and 1 more, but must hold exactly one"),
        ({"a.tsf": " "}, "a.zip is empty"),
        ({"a.tsf": "hello"}, "line 1 of .*a.zip holds 'hello'"),
    ],
)
def test_archives_that_cannot_be_read(tmp_path, members, message):
    path = zipped(tmp_path / "a.zip", **members)
    with pytest.raises(InvalidTableError, match=message):
        read_tsf(path)


def test_an_archive_that_is_none(write):
    with pytest.raises(InvalidTableError, match=r"tiny\.zip cannot be unpacked: File is not a zip file; give"):
        read_tsf(write(HEADER, name="tiny.zip"))
    with pytest.raises(
        InvalidTableError, match=r"must end in \.csv, \.csv\.gz, \.parquet, \.pq, \.tsf, \.tsf\.gz, \.zip"
    ):
        read_series(write(HEADER, name="tiny.txt"))


BAD = {
    "no data": (HEADER[:-1], r"no line '@data'"),
    "nothing after it": (HEADER, r"no series after '@data'"),
    "text before it": (["hello", *HEADER], r"line 1 of .*tiny\.tsf holds 'hello'"),
    "unknown frequency": (with_line("@frequency", "@frequency monthy"), r"line 5 .*'monthy'; did you mean 'monthly'"),
    "bad horizon": (with_line("@horizon", "@horizon soon"), r"line 6 .*'soon', but must be a whole number"),
    "bad flag": (with_line("@missing", "@missing maybe"), r"line 7 .*'maybe', but must be true or false"),
    "unknown type": (
        with_line("@attribute start", "@attribute start_timestamp time"),
        r"line 4 .*string, numeric, date",
    ),
    "declared twice": (with_line("@relation", "@attribute series_name string"), r"line 3 .*declared twice"),
    "attribute missing": (
        [*HEADER, "T1:1,2,3"],
        r"line 10 .*has 1 attributes before its values, but the file declares 2",
    ),
    "attribute too many": ([*HEADER, "T1:2000-01-01 00-00-00:x:1,2"], r"line 10 .*has 3 attributes"),
    "no number": ([*HEADER, ROWS[0], "T2:2000-01-01 00-00-00:1,two,3"], r"line 11 .*'two' as value 2 of 3"),
    "underscore": ([*HEADER, "T2:2000-01-01 00-00-00:1,1_5"], r"line 10 .*'1_5' as value 2 of 2"),
    "full-width digit": ([*HEADER, "T2:2000-01-01 00-00-00:\uff11,2"], r"line 10 .*'\uff11' as value 1 of 2"),
    "infinite": ([*HEADER, "T2:2000-01-01 00-00-00:1,inf"], r"line 10 .*'inf' as value 2 of 2"),
    "trailing comma": ([*HEADER, "T2:2000-01-01 00-00-00:1,2,"], r"line 10 .*'' as value 3 of 3"),
    "empty series": ([*HEADER, "T2:2000-01-01 00-00-00:"], r"line 10 .*has no values"),
    "broken date": ([*HEADER, "T2:2000-13-41 00:00:00:1"], r"line 10 .*'2000-13-41 00:00:00', but must be a date"),
    "text for a date": ([*HEADER, "T2:yesterday:1"], r"line 10 .*'yesterday', but must be a date"),
    "bad attribute": (["@attribute size numeric", "@data", "big:1"], r"line 3 .*'size' is 'big', but must be a number"),
    "bad digits": (["@attribute size numeric", "@data", "1_5:1"], r"line 3 .*'size' is '1_5', but must be a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_line_and_value(write, case):
    lines, message = BAD[case]
    with pytest.raises(InvalidTableError, match=message):
        read_tsf(write(lines))


def test_files_that_cannot_be_read(write, tmp_path):
    (tmp_path / "empty.tsf").write_text("\n")
    (tmp_path / "bytes.tsf").write_bytes(b"@data\0")
    for name, message in {"no.tsf": "does not exist", "empty.tsf": "is empty", "bytes.tsf": "not a text file"}.items():
        with pytest.raises(InvalidTableError, match=message):
            read_tsf(tmp_path / name)
    with pytest.raises(InvalidTableError, match=r"must end in \.tsf, \.tsf\.gz"):
        read_tsf(write(HEADER, name="tiny.txt"))
    with pytest.raises(InvalidTableError, match="did you mean 'hourly'"):
        season_length_of("hourl")


@pytest.mark.parametrize(
    ("name", "relation", "horizon", "count", "shortest", "longest", "steps"),
    [
        ("hospital", "Hospital", None, 767, 84, 84, 64428),
        ("tourism_monthly", "Tourism", 24, 366, 91, 333, 109280),
        ("m4_hourly", "M4", 48, 414, 748, 1008, 373372),
    ],
)
def test_files_of_the_archive(name, relation, horizon, count, shortest, longest, steps):
    folder = os.environ.get("DASHA_DATA")
    if not folder:
        pytest.skip("set DASHA_DATA to the folder with the files of the Monash archive")
    found = sorted(Path(folder).rglob(f"{name}_dataset.tsf"))
    if not found:
        pytest.skip(f"no {name}_dataset.tsf under {folder}")
    data = read_tsf(found[0])
    lengths = [len(one.values) for one in data.series]
    assert (data.relation, data.horizon, data.notes) == (relation, horizon, ())
    assert (len(lengths), min(lengths), max(lengths), sum(lengths)) == (count, shortest, longest, steps)
    assert read_series(found[0]).freq == ("h" if name == "m4_hourly" else "MS")
