"""FASTA files and intervals of a genome."""

import gzip
import os
import stat

import numpy as np
import pytest

from dasha.errors import InvalidArgumentError, InvalidTableError
from genomics_adapter.encoding import decode
from genomics_adapter.sequences import genome, read_bed, read_fasta, read_file

FASTA = ">a label=1 x\nACG\nTTA\n\n>b|label=0\nacgn\n>c class:1\nTT\nTT\n"


def write(path, content):
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix in (".gz", ".bgz") else data)
    return path


def test_blanks_and_tabs_at_the_end_of_lines_are_no_bases(tmp_path):
    path = write(tmp_path / "a.fa", ">a label=1\nACG \nT\t\n>b label=0\n AC GT\n")
    assert decode(read_fasta(path).codes) == ["ACGT", "ACGT"]


@pytest.mark.parametrize("name", ["a.fa", "a.fasta", "a.fna.gz", "a.fa.bgz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_fasta_with_labels_in_headers(name, end, tmp_path):
    data = read_fasta(write(tmp_path / name, FASTA.replace("\n", end)), crop="start")
    assert decode(data.codes) == ["ACGTTA", "ACGN--", "TTTT--"]
    assert data.labels.tolist() == [1, 0, 1]
    assert data.names.tolist() == ["a", "b|label=0", "c"]
    assert data.source.numbers.tolist() == [1, 5, 7]


def test_fasta_with_a_pattern_or_without_labels(tmp_path):
    path = write(tmp_path / "a.fa", ">x>y|yes\nACGT\n>z|no\nACGT")
    data = read_fasta(path, label_pattern=r"\|(\w+)$")
    assert (data.labels.tolist(), data.class_names) == ([1, 0], ("no", "yes"))
    data = read_fasta(path)
    assert data.labels is None
    assert "no header has a label" in data.describe()


def test_fasta_with_a_table(tmp_path):
    path = write(tmp_path / "a.fa", ">s2 more\nACGT\n>s1\nTTTT\n")
    table = write(tmp_path / "labels.tsv", "name\tlabel\ns1\t7\ns2\t8\nother\t9\n")
    assert read_fasta(path, table=table).labels.tolist() == [8, 7]
    several = write(tmp_path / "several.csv", "name,a,b\ns1,7,1\ns2,8,0\n")
    both = read_fasta(path, table=several, label_column=["b", "a"])
    assert (both.labels.tolist(), both.label_names) == ([[0, 8], [1, 7]], ("b", "a"))
    assert read_file(path, table=several, label=["a"]).labels.tolist() == [8, 7]
    with pytest.raises(InvalidTableError, match=r"several\.csv has no column 'c'; its columns are name, a, b"):
        read_fasta(path, table=several, label_column=["a", "c"])
    for content, message in (
        ("name\tlabel\ns1\t7\n", r"record in line 1 is called 's2', which is not in column 'name' of .*labels\.tsv"),
        ("name\tlabel\ns1\t7\ns1\t8\n", r"labels\.tsv, line 3 has the name 's1' a second time"),
        ("name\tlabel\ns1\t7\ns2\tx\n", r"labels\.tsv, line 3 has label 'x', which is no finite number"),
    ):
        write(table, content)
        with pytest.raises(InvalidArgumentError, match=message):
            read_fasta(path, table=table)
    with pytest.raises(InvalidTableError, match="has no column 'id'"):
        read_fasta(path, table=table, name_column="id")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (">a\nACGT\n>b\nAC*T\n", r"a\.fa, record in line 3 has '\*' at base 3"),
        (">a\nACGT\n>b\n>c\nA\n", r"a\.fa, record in line 3 is empty"),
        (">a label=1\nA\n>b\nC\n", r"record in line 3 has no label in its header 'b', although others have \(1 have"),
    ],
)
def test_records_that_are_wrong(content, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        read_fasta(write(tmp_path / "a.fa", content))


def test_what_is_no_fasta(tmp_path):
    with pytest.raises(InvalidTableError, match=r"a\.fa, line 2 begins with 'A', but a FASTA file begins with '>'"):
        read_fasta(write(tmp_path / "a.fa", "\nACGT\n"))
    path = write(tmp_path / "a.fa", FASTA)
    with pytest.raises(InvalidArgumentError, match=r"label_pattern is '\(', which is no regular expression"):
        read_fasta(path, label_pattern="(")
    with pytest.raises(InvalidArgumentError, match=r"label_pattern is 'x' with 0 groups, but must have one"):
        read_fasta(path, label_pattern="x")


CONTIGS = {"chr1": 3000, "chr2": 700, "scaffold": 35}


@pytest.fixture(scope="module")
def contigs():
    rng = np.random.default_rng(0)
    return {name: "".join(rng.choice(list("ACGTacgtNR"), size)) for name, size in CONTIGS.items()}


@pytest.fixture
def genome_file(contigs, tmp_path):
    pytest.importorskip("pyfaidx")
    lines = "".join(
        f">{name} extra words\n" + "".join(f"{text[i : i + 60]}\n" for i in range(0, len(text), 60))
        for name, text in contigs.items()
    )
    return write(tmp_path / "genome.fa", lines)


def slow_window(text, start, end, strand, length):
    """On the strand ``-``, the window is that of the turned chromosome."""
    text = text.upper()
    if strand == "-":
        text = text.translate(str.maketrans("ACGTRN", "TGCAYN"))[::-1]
        start, end = len(text) - end, len(text) - start
    first = start + (end - start) // 2 - length // 2
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(first, first + length))


@pytest.mark.parametrize("length", [None, 1, 24, 401])
@pytest.mark.parametrize("cost", [0, 5000])
def test_windows_are_those_of_a_slow_reference(length, cost, contigs, genome_file, tmp_path, monkeypatch):
    monkeypatch.setattr(genome, "_BASES_PER_WINDOW", cost)  # 0: every window by itself
    rng = np.random.default_rng(1)
    rows = []
    for index in range(150):
        name = str(rng.choice(list(CONTIGS)))
        start = int(rng.integers(0, CONTIGS[name] - 1))
        end = int(rng.integers(start + 1, min(start + 80, CONTIGS[name]) + 1))
        rows.append((name, start, end, f"peak{index}", index % 3, "+-."[index % 3]))
    path = write(tmp_path / "a.bed", "track name=x\n#c\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    data = read_bed(path, genome_file, length=length)
    size = length or max(row[2] - row[1] for row in rows)
    assert decode(data.codes) == [slow_window(contigs[row[0]], row[1], row[2], row[5], size) for row in rows]
    assert data.labels.tolist() == [row[4] for row in rows]
    assert data.chromosomes.tolist() == [row[0] for row in rows]
    forward_starts = [(row[1] + row[2]) // 2 - size // 2 for row in rows]
    shifts = np.array(data.starts) - forward_starts
    is_shifted = [row[5] == "-" and (row[2] - row[1] + size) % 2 for row in rows]  # one of the two has no middle base
    assert (shifts != 0).tolist() == [bool(shifted) for shifted in is_shifted]
    assert data.names[7] == "peak7"
    assert data.source.place(0).endswith("line 3")
    forward = read_bed(path, genome_file, length=length, is_stranded=False)
    assert decode(forward.codes) == [slow_window(contigs[row[0]], row[1], row[2], "+", size) for row in rows]
    if size == 401:
        assert "windows reach over an end of their chromosome and are N there" in data.describe()


def test_windows_as_long_as_their_intervals_are_the_intervals(contigs, genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t10\t14\tx\t0\t+\nchr1\t10\t14\tx\t1\t-\n")
    own = contigs["chr1"][10:14].upper()
    turned = own.translate(str.maketrans("ACGTRN", "TGCAYN"))[::-1]
    assert decode(read_bed(path, genome_file).codes) == [own, turned]


def test_a_site_has_the_same_place_on_both_strands(genome_file, contigs, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t20\t21\tx\t0\t+\nchr1\t20\t21\tx\t1\t-\n")
    forward, backward = decode(read_bed(path, genome_file, length=6).codes)
    base = contigs["chr1"][20].upper()
    assert (forward[3], backward[3]) == (base, base.translate(str.maketrans("ACGTRN", "TGCAYN")))


def test_lines_with_other_numbers_of_columns_are_refused(genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t5\t9\tx\t0\t-\nchr1\t5\t9\tx\t1\n")
    with pytest.raises(InvalidTableError, match=r"line 2 has 5 columns, but .*line 1 has 6; all lines"):
        read_bed(path, genome_file)


def test_columns_of_labels(genome_file, tmp_path):
    path = write(tmp_path / "a.narrowPeak.gz", "chr1 5 9 up 3 + 7.5\nchr1 5 9 down 4 - 8\n")
    assert read_bed(path, genome_file).labels.tolist() == [3, 4]
    assert read_bed(path, genome_file, label="name").class_names == ("down", "up")
    assert read_bed(path, genome_file, label="strand").labels.tolist() == [0, 1]
    assert read_bed(path, genome_file, label=7).labels.tolist() == [7.5, 8]
    both = read_bed(path, genome_file, label=["score", 7])
    assert (both.labels.tolist(), both.label_names) == ([[3, 7.5], [4, 8]], ("score", "7"))
    assert read_file(path, genome=genome_file, label=[5]).labels.tolist() == [3, 4]
    assert read_bed(write(tmp_path / "b.bed", "chr1\t5\t9\n"), genome_file, label=None).labels is None


@pytest.mark.parametrize("label", ["name", 4, ["score", "name"]])
def test_a_point_is_no_label(label, genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t5\t9\tx\t0\t.\nchr1\t5\t9\t.\t1\t.\n")
    with pytest.raises(InvalidArgumentError, match=r"a\.bed, line 2 has '\.' in column 4, which says that .* label="):
        read_bed(path, genome_file, label=label)
    assert read_bed(path, genome_file, label="name", class_names=("x", ".")).labels.tolist() == [0, 1]
    assert read_bed(path, genome_file, label="strand").class_names == (".",)


def test_intervals_without_a_name_are_called_by_their_place(genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t5\t9\t.\t0\t-\nchr2\t7\t9\tpeak\t1\t+\n")
    assert read_bed(path, genome_file).titles == ["chr1:5-9(-)", "peak"]
    assert read_bed(write(tmp_path / "b.bed", "chr1\t5\t9\n"), genome_file, label=None).titles == ["chr1:5-9"]


@pytest.mark.parametrize("suffix", [".gz", ".bgz"])
def test_a_packed_genome(suffix, genome_file, tmp_path):
    packed = write(tmp_path / f"packed.fa{suffix}", genome_file.read_text())
    path = write(tmp_path / "a.bed", "chr2\t5\t90\tx\t1\t-\n")
    assert np.array_equal(read_bed(path, packed).codes, read_bed(path, genome_file).codes)
    assert sorted(place.name for place in tmp_path.glob("packed*")) == [packed.name]
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InvalidTableError, match=r"genome .* is not a complete gzip file"):
        read_bed(path, packed)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that cannot be written to")
def test_a_genome_in_a_folder_that_cannot_be_written_to(genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr2\t5\t90\tx\t1\t-\n")
    place = tmp_path / "fixed"
    place.mkdir()
    genome_file.rename(place / "g.fa")
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert len(read_bed(path, place / "g.fa")) == 1
        assert not (place / "g.fa.fai").exists()
    finally:
        place.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr3\t1\t5\tx\t0\t+", r"a\.bed, line 2 is on 'chr3', which .* does not have; .* it has chr1, chr2, scaffold"),
        (
            "scaffold\t30\t36\tx\t0\t+",
            r"has the interval scaffold:30-36, which lies beyond the end .* \(35 bases",
        ),
        ("chr1\t9\t9\tx\t0\t+", r"line 2 has the interval chr1:9-9, but the end must lie behind the start"),
        ("chr1\t-1\t9\tx\t0\t+", r"line 2 has start '-1', but must be a whole number"),
        ("chr1\t1\t9.5\tx\t0\t+", r"line 2 has end '9\.5', but must be a whole number"),
        ("chr1\t1\t1" + "0" * 25 + "\tx\t0\t+", r"line 2 has end '10{25}', but must be .* of at most 18 digits"),
        ("chr1\t1\t9\tx\t0\tminus", r"line 2 has strand 'minus', but must be '\+', '-' or '\.'"),
        ("chr1\t1\t9\tx\thigh\t+", r"line 2 has label 'high', which is no finite number"),
    ],
)
def test_intervals_that_are_wrong(line, message, genome_file, tmp_path):
    path = write(tmp_path / "a.bed", f"chr1\t0\t10\tx\t1\t+\n{line}\n")
    with pytest.raises(InvalidArgumentError, match=message):
        read_bed(path, genome_file)


def test_files_that_are_no_intervals_or_no_genome(genome_file, tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t0\t10\n")
    with pytest.raises(InvalidTableError, match="line 1 has 3 columns, but column 5 is needed; say with label="):
        read_bed(path, genome_file)
    with pytest.raises(InvalidArgumentError, match="label is 'colour', but must be 'name', 'score', 'strand'"):
        read_bed(path, genome_file, label="colour")
    with pytest.raises(InvalidTableError, match="holds no intervals"):
        read_bed(write(tmp_path / "b.bed", "# nothing\n"), genome_file)
    with pytest.raises(InvalidTableError, match=r"genome .* is no file"):
        read_bed(path, tmp_path / "none.fa", label=None)
    with pytest.raises(InvalidTableError, match=r"genome .* (cannot be read as FASTA|holds no sequence)"):
        read_bed(path, write(tmp_path / "bad.fa", "no genome\n"), label=None)
    with pytest.raises(InvalidTableError, match=r"genome .* cannot be read as FASTA"):
        read_bed(path, write(tmp_path / "uneven.fa", ">chr1\nACGT\nAC\nACGT\n"), label=None)
    with pytest.raises(InvalidArgumentError, match=r"genome\.fa, chr1, counted from base 1, has '!' at base 3"):
        read_bed(path, write(tmp_path / "genome.fa", ">chr1\nAC!TACGTACGT\n"), label=None)
