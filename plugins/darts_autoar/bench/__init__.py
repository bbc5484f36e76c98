"""The two benchmarks of Auto-AR: long-term forecasting, and many short series of the Monash archive.

`darts_autoar.bench.ltsf` needs nothing but the core; `darts_autoar.bench.monash` needs Darts and statsforecast for the
methods that it compares with. What both share lies beside them: where data files are, what machine and versions were
used, the store that lets a run go on where it stopped, the folder with results and page.
"""
