"""Tables of time series: CSV, CSV.GZ and Parquet files in, a regular matrix with its times out."""

from dasha.tables.table import SeriesTable, read_table

__all__ = ["SeriesTable", "read_table"]
