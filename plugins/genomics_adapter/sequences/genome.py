"""Windows of a genome in a FASTA file, by way of pyfaidx."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dasha._optional import require
from dasha.errors import InvalidTableError
from genomics_adapter.encoding import ANY, encode

# Reading one window by itself takes about as long as reading so many bases of a chromosome in one go.
_BASES_PER_WINDOW = 5000


class Genome:
    """An open genome.

    Attributes:
        path: The FASTA file.
        sizes: Bases of every chromosome.
    """

    def __init__(self, path: Path, fasta: Any) -> None:
        self.path, self._fasta = path, fasta
        self.sizes: dict[str, int] = {name: len(fasta[name]) for name in fasta.keys()}  # noqa: SIM118 - not a mapping

    def windows(self, chromosome: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Codes of the windows ``[start, start + length)`` of one chromosome; N where it does not reach.

        Args:
            chromosome: Its name in the file.
            starts: Counted from 0, below 0 before the chromosome begins, shape ``(N,)``.
            length: Bases of every window.

        Returns:
            uint8 of shape ``(N, length)``.

        Raises:
            InvalidArgumentError: If a chromosome has a character that is no base.
        """
        codes, size = np.full((len(starts), length), ANY, np.uint8), self.sizes[chromosome]
        is_whole = len(starts) * _BASES_PER_WINDOW > size
        whole = self._codes(chromosome, 0, size) if is_whole else None
        for row, start in zip(codes, starts.tolist(), strict=True):
            first, last = max(start, 0), min(start + length, size)
            if first < last:
                part = self._codes(chromosome, first, last) if whole is None else whole[first:last]
                row[first - start : last - start] = part
        return codes

    def _codes(self, chromosome: str, start: int, stop: int) -> np.ndarray:
        text = str(self._fasta[chromosome][start:stop])
        place = f"{self.path}, {chromosome}, counted from base {start + 1},"
        codes: np.ndarray = encode([text], where=lambda _: place)[0]
        return codes


@contextmanager
def open_genome(path: Path) -> Iterator[Genome]:
    """Open a genome; a gzipped one is unpacked to a temporary file first, and the index is not kept then.

    Raises:
        InvalidTableError: If it does not exist or is no FASTA file.
        OptionalDependencyError: If pyfaidx is not installed.
    """
    pyfaidx: Any = require("pyfaidx", extra="genomics")
    if not path.is_file():
        raise InvalidTableError(
            f"genome {path} is no file; give the FASTA file of the genome that the intervals are of"
        )
    with ExitStack() as stack:
        place = path
        if path.name.lower().endswith((".gz", ".bgz")):
            place = _unpacked(path, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genome-"))))
        index = Path(f"{place}.fai")
        if not index.exists() and not os.access(place.parent, os.W_OK):
            index = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genome-"))) / "genome.fai"
        try:
            fasta = pyfaidx.Fasta(str(place), indexname=str(index), as_raw=True)
        except (pyfaidx.FastaIndexingError, ValueError, UnicodeDecodeError) as error:
            raise InvalidTableError(f"genome {path} cannot be read as FASTA: {error}") from error
        stack.callback(fasta.close)
        genome = Genome(path, fasta)
        if not genome.sizes:
            raise InvalidTableError(f"genome {path} holds no sequence; a FASTA file begins with '>' and a name")
        yield genome


def _unpacked(path: Path, folder: Path) -> Path:
    place = folder / "genome.fa"
    try:
        with gzip.open(path, "rb") as packed, place.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 22)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidTableError(f"genome {path} is not a complete gzip file: {error}") from error
    return place
