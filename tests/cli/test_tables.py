import gzip
import re

import numpy as np
import pandas as pd
import pytest

from dasha.errors import InvalidTableError
from dasha.tables import read_series, read_table
from dasha.tables.timeline import regular_grids

HOURS = pd.date_range("2020-01-01", periods=30, freq="h")


def frame(times=HOURS, **columns):
    generator = np.random.default_rng(0)
    columns = columns or {"a": generator.normal(size=len(times)), "b": np.arange(len(times))}
    return pd.DataFrame({"date": times, **columns})


@pytest.fixture
def write(tmp_path):
    def write(data, name="data.csv", **options):
        path = tmp_path / name
        if isinstance(data, bytes):
            path.write_bytes(data)
        elif isinstance(data, str):
            path.write_text(data, encoding="utf-8")
        elif name.endswith("parquet"):
            data.to_parquet(path, **options)
        else:
            data.to_csv(path, index=False, **options)
        return path

    return write


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "data.parquet", "DATA.CSV"])
def test_formats_give_the_same_table(write, name):
    data = frame()
    table = read_table(write(data, name))
    assert (table.columns, table.time_column, table.freq, table.notes) == (("a", "b"), "date", "h", ())
    np.testing.assert_array_equal(table.values, data[["a", "b"]])
    assert table.future(2)[-1] == HOURS[-1] + pd.Timedelta(hours=2)


def test_parquet_index_is_a_column(write):
    assert read_table(write(frame().set_index("date"), "x.parquet")).time_column == "date"


@pytest.mark.parametrize("freq", ["15min", "h", "D", "B", "W-TUE", "MS", "ME", "QS-OCT", "YS-JAN", "2h"])
def test_frequencies_are_found_and_continued(write, freq):
    times = pd.date_range("2019-01-01", periods=24, freq=freq)
    table = read_table(write(frame(times[:20])))
    assert table.freq == freq
    pd.testing.assert_index_equal(table.future(4), times[20:], check_names=False, exact="equiv")


def test_integer_times(write):
    table = read_table(write(pd.DataFrame({"YEAR": range(1700, 1760, 2), "n": range(30)})))
    assert (table.time_column, table.freq, list(table.future(2))) == ("YEAR", "2", [1760, 1762])
    dates = read_table(write(frame(pd.date_range("2020-01-01", periods=30).strftime("%Y%m%d").astype(int))))
    assert (dates.freq, dates.index[0]) == ("D", pd.Timestamp("2020-01-01"))


@pytest.mark.parametrize(("unit", "words"), [("s", "seconds"), ("ms", "milli"), ("us", "micro"), ("ns", "nano")])
def test_seconds_since_1970_are_times_and_no_series(write, unit, words):
    epoch = HOURS.as_unit(unit).astype("int64")
    for name in ("unix_time", "when"):  # the second is known by its even steps
        table = read_table(write(pd.DataFrame({name: epoch, "y": range(30)})))
        assert (table.columns, table.time_column, table.freq, table.index[0]) == (("y",), name, "h", HOURS[0])
        assert f"'{name}' was read as {words}" in table.notes[0]
    months = pd.date_range("2020-01-01", periods=30, freq="MS").as_unit(unit).astype("int64")
    assert read_table(write(pd.DataFrame({"ts": months, "y": range(30)}))).freq == "MS"
    gap = pd.DataFrame({"ts": epoch, "y": range(30)}).drop(index=5)
    assert read_table(write(gap), freq="h").missing == 1


@pytest.mark.parametrize("name", ["day", "Datum", "x"])
@pytest.mark.parametrize(("style", "freq", "words"), [("%Y%m%d", "D", "YYYYMMDD"), ("%Y%m", "MS", "YYYYMM")])
def test_rising_dates_in_whole_numbers_are_times_and_no_series(write, name, style, freq, words):
    times = pd.date_range("2010-12-01", periods=30, freq=freq)
    dates = times.strftime(style).astype(int)
    path = write(pd.DataFrame({"y": range(30), name: dates}))
    for options in ({}, {"time_column": name}):
        table = read_table(path, **options)
        assert (table.columns, table.time_column, table.freq, table.index[-1]) == (("y",), name, freq, times[-1])
        assert table.notes == (f"{name!r} was read as dates written {words}",)
    assert read_table(write(pd.DataFrame({"y": range(30), name: dates[::-1]}))).columns == ("y", name)
    shops = pd.DataFrame({"shop": ["a"] * 30 + ["b"] * 30, name: [*dates, *dates], "y": range(60)})
    found = read_series(write(shops), id_column="shop")
    assert (found.time_column, found.freq, found.columns) == (name, freq, ("y",))


def test_large_whole_numbers_that_are_no_times_stay_series(write):
    people = 870_000_000 + np.cumsum(np.random.default_rng(0).integers(10**6, 10**7, 30))
    table = read_table(write(pd.DataFrame({"people": people, "y": range(30)})))
    assert (table.columns, table.time_column) == (("people", "y"), None)
    assert read_table(write(pd.DataFrame({"year": range(1990, 2020), "people": people}))).time_column == "year"


def test_without_times_rows_are_counted(write):
    table = read_table(write("a,b\n1,2\n,3\n5,6\n"))
    assert (table.time_column, list(table.future(2)), table.missing) == (None, [4, 5], 1)
    assert "row numbers" in table.notes[0]


def test_one_column_keeps_its_empty_lines_as_missing_values(write):
    np.testing.assert_array_equal(read_table(write("v\n1\n\n3\n\n")).values[:, 0], [1, np.nan, 3])


def test_row_numbers_written_by_pandas_are_no_series(write):
    assert read_table(write(frame().drop(columns="date").reset_index().rename(columns={"index": ""}))).columns == (
        "a",
        "b",
    )


def test_first_line_of_data_is_kept(write):
    table = read_table(write("2020-01-01,1.5\n2020-01-02,2.5\n2020-01-03,3.5\n"))
    assert table.values[:, 0].tolist() == [1.5, 2.5, 3.5]
    assert read_table(write("0,1,2\n5,6,7\n8,9,1\n")).columns == ("0", "1", "2")


def test_sorted_with_a_note(write):
    data = frame()
    table = read_table(write(data[::-1]))
    np.testing.assert_array_equal(table.values[:, 1], np.arange(30))
    assert "data row 2" in table.notes[0]


def test_day_or_month_first_is_settled_by_regularity(write):
    times = pd.date_range("2015-01-01", periods=30, freq="MS")
    for style, note in (("%d/%m/%Y", "day first"), ("%m/%d/%Y", "month first")):
        table = read_table(write(frame(times.strftime(style))))
        assert table.freq == "MS"
        assert note in table.notes[0]


def test_days_that_could_be_months_are_refused_unless_the_frequency_says_which(write):
    path = write(frame(pd.date_range("2024-01-01", periods=10).strftime("%d/%m/%Y")))
    message = (
        r"'date' can be read as month first \(2024-01-01 to 2024-10-01, every MS\) and as day first \(2024-01-01 to "
        r"2024-01-10, every D\); write dates like 2024-01-31, or say which with --freq MS or --freq D"
    )
    with pytest.raises(InvalidTableError, match=message):
        read_table(path)
    for freq, note in (("D", "day first"), ("MS", "month first")):
        table = read_table(path, freq=freq)
        assert (table.freq, table.missing, table.notes) == (freq, 0, (f"dates were read as {note}",))
    one_day = pd.date_range("2024-03-05", periods=24, freq="h").strftime("%d/%m/%Y %H:%M")
    with pytest.raises(InvalidTableError, match=r"every h\); write dates like 2024-01-31$"):
        read_table(write(frame(one_day)))
    same = read_table(write(frame(pd.date_range("2024-03-03", periods=24, freq="h").strftime("%d/%m/%Y %H:%M"))))
    assert same.index[0] == pd.Timestamp("2024-03-03")


def test_time_zones(write):
    berlin = pd.date_range("2020-03-28", periods=72, freq="h", tz="Europe/Berlin")  # clocks change on the 29th
    for data in (frame(berlin), frame(berlin.map(lambda time: time.isoformat()))):
        for name in ("x.parquet", "x.csv"):
            table = read_table(write(data, name))
            assert (table.freq, table.index[0]) == ("h", pd.Timestamp("2020-03-27 23:00"))
            assert "UTC" in table.notes[0]
    days = pd.date_range("2020-03-20", periods=30, freq="D", tz="Europe/Berlin")  # irregular in UTC
    assert read_table(write(frame(days), "x.parquet")).index[0] == pd.Timestamp("2020-03-20")


def test_decimal_and_thousands_commas(write):
    lines = [f"{time:%d.%m.%Y %H:%M};{number},5" for number, time in enumerate(HOURS)]
    table = read_table(write("Datum;Größe\n".encode("latin-1") + "\n".join(lines).encode()))
    assert table.columns == ("Größe",)
    assert table.values[3, 0] == 3.5
    assert any("Latin-1" in note for note in table.notes)
    thousands = read_table(write(frame(a=[f"{number:,}" for number in range(1000, 31000, 1000)])))
    assert thousands.values[-1, 0] == 30000


@pytest.mark.parametrize(
    ("mark", "decimal", "note"),
    [
        ("'", ".", "'v' has marks between thousands"),
        ("\u2019", "", "'v' has marks between thousands"),
        ("\u202f", ",", "'v' has marks between thousands and has decimal commas"),
        ("\u00a0", ",", "'v' has marks between thousands and has decimal commas"),
    ],
)
def test_marks_between_thousands(write, mark, decimal, note):
    lines = [f"{time};{mark.join((str(1 + place), '234', '500'))}{decimal}" for place, time in enumerate(HOURS)]
    lines[3] = f"{HOURS[3]};7{decimal and decimal + '5'}"
    table = read_table(write("date;v\n" + "\n".join(lines)))
    assert table.values[[0, 3, 29], 0].tolist() == [1_234_500, 7.5 if decimal else 7, 30_234_500]
    assert table.notes == (note,)
    with pytest.raises(InvalidTableError, match=r"'v' is not numeric \(data row 2 holds"):
        read_table(write(f"date;v\n2020-01-01;1\n2020-01-02;1{mark}23\n"), targets=["v"])


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;;"])
def test_the_separator_that_excel_is_told(write, first):
    lines = [f"{time};{place},5" for place, time in enumerate(HOURS)]
    table = read_table(write("\n".join([first, "date;a, b, c and d", *lines])))
    assert (table.columns, table.values[3, 0]) == (("a, b, c and d",), 3.5)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_empty_rows_at_the_end_are_none(write, separator):
    lines = [separator.join((str(time), str(place), "")) for place, time in enumerate(HOURS)]
    rows = [separator.join(("date", "a", "b")), separator.join((str(HOURS[0]), "0", "1")), *lines[1:]]
    table = read_table(write("\n".join([*rows, 2 * separator, f" {separator} {separator}", ""])))
    assert (table.columns, len(table.index), table.missing) == (("a", "b"), 30, 29)


def test_freq_fills_gaps_with_missing_values(write):
    data = frame().drop(index=[4, 5, 9])
    with pytest.raises(InvalidTableError, match=r"2020-01-01 06:00:00 follows 2020-01-01 03:00:00.*--freq h "):
        read_table(write(data))
    table = read_table(write(data), freq="H")
    assert (len(table.index), table.missing) == (30, 6)
    assert np.isnan(table.values[[4, 5, 9]]).all()
    assert table.values[10, 1] == 10


def test_columns_that_are_no_numbers_are_left_out_unless_asked_for(write):
    path = write(frame(a=range(30), name="x", flag=True, empty=np.nan))
    table = read_table(path)
    assert table.columns == ("a",)
    assert all(name in table.notes[-1] for name in ("'name'", "'flag'", "'empty'"))
    with pytest.raises(InvalidTableError, match=r"'name' is not numeric \(data row 1 holds 'x'\)"):
        read_table(path, targets=["name"])


BAD = {
    "empty": (b"", {}, "is empty"),
    "separator only": ("sep=;\n\n", {}, "is empty"),
    "header only": ("date,a\n", {}, "no data rows"),
    "no numbers": (frame(a="x"), {}, "no numeric column"),
    "not text": (b"PK\0\0", {}, "not a text file"),
    "ragged": ("a,b\n1,2\n1,2,3\n", {}, "cannot be read as CSV"),
    "more fields than names": ("a,b\n1,2,3\n1,2,3\n", {}, "more fields than its header"),
    "unknown target": (frame(), {"targets": ["A"]}, "did you mean 'a'"),
    "target twice": (frame(), {"targets": ["a", "a"]}, "twice"),
    "time as target": (frame(), {"targets": ["date"]}, "is the time column"),
    "unknown time column": (frame(), {"time_column": "dte"}, "did you mean 'date'"),
    "no such time": (
        frame(HOURS.astype(str).to_series().replace("2020-01-01 06:00:00", "soon").values),
        {},
        "'soon'.*row 7",
    ),
    "missing time": (frame(HOURS.to_series().mask(HOURS.hour == 3).values), {}, r"empty in data row 4 \(2 such"),
    "duplicated": (frame(HOURS[[0, 1, 2, 2, 2, 3, 3]]), {}, r"2020-01-01 02:00:00 3 times \(2 duplicated"),
    "too few": (frame(HOURS[:2]), {}, "too few"),
    "infinite": (frame(a=[1.0] * 29 + [np.inf]), {}, r"'a' is infinite in data row 30"),
    "unknown freq": (frame(), {"freq": "often"}, "'often', but must be a pandas frequency"),
    "freq off the grid": (
        frame(),
        {"freq": "7min"},
        "7min does not fit: 2020-01-01 01:00:00 is 00:03:00 from .* starts at 2020-01-01 .* moved by at most 00:01:45",
    ),
    "freq that leads nowhere": (frame(), {"freq": "0D"}, "'0D', but must be a pandas frequency"),
    "freq of several anchors": (
        frame(pd.date_range("2020-01-01", periods=30, freq="MS")),
        {"freq": "7q"},
        "--freq 7q does not fit: 2020-02-01 .* grid of '7QS-JAN' that starts at 2020-01-01 .* usual step is MS",
    ),
    "freq far too fine": (frame(), {"freq": "s"}, "coarser one .the usual step is h"),
    "freq of numbers": ("year,a\n1,2\n2,3\n3,4\n", {"freq": "D"}, "holds whole numbers"),
    "freq without times": ("a,b\n1.5,2\n2,3\n3,4\n", {"freq": "D"}, "no dates"),
    "decimal times": ("t,a\n1.5,2\n2,3\n3,4\n", {"time_column": "t"}, "dates or whole numbers"),
    "irregular numbers": ("year,a\n1,2\n2,3\n5,4\n", {}, "5 follows 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_what_is_wrong(write, case):
    data, options, message = BAD[case]
    with pytest.raises(InvalidTableError, match=message):
        read_table(write(data), **options)


def test_path_errors(tmp_path):
    (tmp_path / "x.txt").write_text("a\n1\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a\n1\n2\n")[:-6])
    for name, message in {
        "no.csv": "does not exist",
        ".": "is a folder",
        "x.txt": "must end in",
        "cut.csv.gz": "gzip",
    }.items():
        with pytest.raises(InvalidTableError, match=message):
            read_table(tmp_path / name)


def test_duplicates_can_be_taken_as_rows(write):
    data = frame(HOURS[[0, 1, 2, 2, 3]])
    table = read_table(write(data), count_rows=True)
    assert (table.time_column, table.columns, len(table.index)) == (None, ("a", "b"), 5)


@pytest.mark.parametrize("row", [1, 4])
def test_one_unreadable_time_among_the_first_rows_is_an_error_not_a_file_without_times(tmp_path, row):
    lines = [f"2024-01-{day:02d},{day}" for day in range(1, 29)]
    lines[row - 1] = f"yesterday,{row}"
    (tmp_path / "data.csv").write_text("\n".join(["date,y", *lines]))
    with pytest.raises(InvalidTableError, match=rf"'date' holds 'yesterday' in data row {row}"):
        read_table(tmp_path / "data.csv")


@pytest.mark.parametrize("freq", ["15min", "h", "D", "B", "W-TUE", "2W-TUE", "MS", "ME", "QS-OCT", "YS-JAN"])
def test_grids_cut_from_a_shared_one_are_those_of_pandas(freq):
    whole = pd.date_range("2001-01-01 06:00", periods=60, freq=freq)
    starts, lengths = [whole[3], whole[0], whole[40], whole[7] + pd.Timedelta(hours=1)], [5, 1, 20, 9]
    for grid, start, length in zip(regular_grids(starts, lengths, [freq] * 4), starts, lengths, strict=True):
        pd.testing.assert_index_equal(grid, pd.date_range(start, periods=length, freq=freq))
        assert grid.freqstr == freq


def holidays(count=800):
    days = pd.bdate_range("2020-01-01", periods=count)
    return days.delete(np.linspace(5, count - 5, 11).astype(int))


def late(count=60, *, minutes=5, freq="h", seed=0):
    """Readings that come some seconds after the full hour."""
    seconds = np.random.default_rng(seed).integers(1, 60 * minutes, count)
    return pd.date_range("2020-01-01", periods=count, freq=freq) + pd.to_timedelta(seconds, unit="s")


IRREGULAR = {
    "business days with holidays": (holidays(), "B", 11),
    "days with gaps": (pd.date_range("2020-01-01", periods=60).delete([7, 30]), "D", 2),
    "weeks": (pd.date_range("2020-01-01", periods=60, freq="W-TUE").delete([7, 30]), "W", 2),
    "months": (pd.date_range("2020-01-01", periods=60, freq="MS").delete([7, 30]), "MS", 2),
    "ends of months": (pd.date_range("2020-01-01", periods=60, freq="ME").delete([7, 30]), "ME", 2),
    "last business days": (pd.date_range("2020-01-01", periods=60, freq="BME").delete([7, 30]), "BME", 2),
    "quarters": (pd.date_range("2020-01-01", periods=40, freq="QS-FEB").delete([7, 30]), "QS-FEB", 2),
    "years": (pd.date_range("1980-01-01", periods=30, freq="YS").delete([7, 20]), "YS-JAN", 2),
    "two months": (pd.date_range("2020-01-01", periods=30, freq="2MS").delete([7, 20]), "2MS", 2),
    "an odd step": (pd.date_range("2020-01-01", periods=60, freq="97min").delete([7, 30]), "97min", 2),
    "two and three hours": (HOURS[0] + pd.to_timedelta([0, 2, 5, 7, 10, 12, 15, 18, 20], unit="h"), "h", 12),
    "late hours": (late(), "h", 0),
    "late hours with gaps": (late().delete([10, 11]), "h", 2),
    "few late hours": (late(9), "h", 0),
    "late quarters of an hour": (late(300, minutes=3, freq="15min"), "15min", 0),
    "late days": (late(50, minutes=60, freq="D"), "D", 0),
    "late months": (late(30, minutes=60, freq="MS"), "MS", 0),
}


@pytest.mark.parametrize("case", IRREGULAR)
def test_a_frequency_that_is_proposed_is_accepted(write, case):
    times, freq, missing = IRREGULAR[case]
    path = write(frame(times))
    with pytest.raises(InvalidTableError, match=f"times are irregular: .* pass --freq {freq} to"):
        read_table(path)
    table = read_table(path, freq=freq)
    assert table.missing == 2 * missing
    assert len(table.index) == len(times) + missing


@pytest.mark.parametrize("seed", range(8))
def test_what_an_error_proposes_never_meets_the_next_one(write, seed):
    generator = np.random.default_rng(seed)
    steps = generator.choice([1, 2, 3, 60, 90], size=40) * (1 + seed) + generator.integers(0, 1 + seed, 40)
    path = write(frame(HOURS[0] + pd.to_timedelta(steps.cumsum(), unit="min")))
    with pytest.raises(InvalidTableError, match="irregular") as caught:
        read_table(path)
    found = re.search("--freq ([^ ]+)", str(caught.value))
    if found:
        read_table(path, freq=found[1])
    else:
        assert "no frequency fits them" in str(caught.value)


def test_business_days_with_holidays_say_where_the_first_gap_is(write):
    times = holidays()
    first = int(np.flatnonzero(np.diff(pd.bdate_range("2020-01-01", periods=800).get_indexer(times)) > 1)[0])
    message = (
        rf"{times[first + 1]} follows {times[first]}, but the usual step is B \(11 of 800 times are not in the file"
    )
    with pytest.raises(InvalidTableError, match=message):
        read_table(write(frame(times)))


def test_rows_beside_the_grid_are_moved_with_a_note(write):
    times = late()
    path = write(frame(times))
    furthest = str((times - times.floor("h")).max()).removeprefix("0 days ")
    with pytest.raises(InvalidTableError, match=f"60 of 60 rows lie beside the grid of h, by up to {furthest}; pass"):
        read_table(path)
    table = read_table(path, freq="h")
    assert table.notes == (f"60 of 60 rows were moved to the nearest time of the grid of h, by at most {furthest}",)
    pd.testing.assert_index_equal(table.index, pd.date_range("2020-01-01", periods=60, freq="h"), check_names=False)
    np.testing.assert_array_equal(table.values[:, 1], np.arange(60))
    exact = read_table(write(frame()), freq="h")
    assert exact.notes == ()


def test_the_grid_starts_at_the_first_row_where_the_clock_is_far(write):
    times = late() + pd.Timedelta(minutes=30)
    table = read_table(write(frame(times)), freq="h")
    assert table.index[0] == times[0]
    assert table.missing == 0


def test_rows_that_are_too_far_or_too_close_are_named(write):
    far = HOURS + pd.to_timedelta(np.where(np.arange(30) == 7, 16, 0), unit="min")
    with pytest.raises(
        InvalidTableError, match=r"07:16:00 is 00:16:00 from .* 'h' .* by at most 00:15:00; choose another"
    ):
        read_table(write(frame(far)), freq="h")
    read_table(write(frame(HOURS + (far - HOURS) * 15 / 16)), freq="h")
    close = HOURS.append(HOURS[[7]] + pd.Timedelta(minutes=2)).sort_values()
    message = (
        r"--freq h does not fit: 2020-01-01 07:00:00 and 2020-01-01 07:02:00 are nearest to the same time, 2020-01-01"
    )
    with pytest.raises(InvalidTableError, match=message):
        read_table(write(frame(close)), freq="h")


def test_months_are_never_moved_by_days(write):
    with pytest.raises(InvalidTableError, match=r"moved by at most 06:00:00; .*usual step is ME"):
        read_table(write(frame(pd.date_range("2020-01-01", periods=30, freq="ME"))), freq="MS")


def test_local_days_are_not_moved_to_those_of_utc(write):
    days = pd.date_range("2020-03-20", periods=30, freq="D", tz="Europe/Berlin").delete(4)
    table = read_table(write(frame(days), "x.parquet"), freq="D")
    assert (table.index[0], table.missing) == (pd.Timestamp("2020-03-20"), 2)
    assert not any("moved" in note for note in table.notes)


def test_a_frequency_proposed_for_many_series_fits_all(tmp_path):
    hours, halves = HOURS.delete([5]), pd.date_range("2020-01-01", periods=20, freq="30min")
    table = pd.concat([frame(hours).assign(id="a"), frame(halves).assign(id="b")])
    table.to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(InvalidTableError, match=r"series 'a': times are irregular: .* --freq 30min"):
        read_series(tmp_path / "long.csv", id_column="id", targets=["a"])
    assert len(read_series(tmp_path / "long.csv", id_column="id", targets=["a"], freq="30min").series) == 2
    table = pd.concat([frame(late(40)).assign(id="a"), frame(late(20, seed=1)).assign(id="b")])
    table.to_csv(tmp_path / "late.csv", index=False)
    with pytest.raises(InvalidTableError, match=r"series 'a': times are irregular: .* --freq h"):
        read_series(tmp_path / "late.csv", id_column="id", targets=["a"])
    data = read_series(tmp_path / "late.csv", id_column="id", targets=["a"], freq="h")
    assert (
        "60 rows in 2 of 2 series were moved to the nearest time of the grid of h, by at most 00:04:" in data.notes[-1]
    )
