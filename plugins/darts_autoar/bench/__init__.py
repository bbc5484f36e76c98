"""The two benchmarks of Auto-AR: long-term forecasting, and many short series of the Monash archive.

`darts_autoar.bench.ltsf` needs nothing but the core; `darts_autoar.bench.monash` needs Darts and statsforecast for the
methods that it compares with. What their commands are asked for lies beside them; what is not about forecasting is in
`dasha.bench`.
"""
