"""Files of time series: CSV, CSV.GZ, Parquet and .tsf in, regular series with their times out."""

from dasha.tables.collection import IndexedSeries, SeriesSet, read_series
from dasha.tables.layout import FileLayout, read_layout
from dasha.tables.table import SeriesTable, read_table
from dasha.tables.tsf import TsfData, TsfSeries, read_tsf

__all__ = [
    "FileLayout",
    "IndexedSeries",
    "SeriesSet",
    "SeriesTable",
    "TsfData",
    "TsfSeries",
    "read_layout",
    "read_series",
    "read_table",
    "read_tsf",
]
