"""What all benchmarks share, whatever they measure.

Where data files are, what machine and versions were used, the store that lets a run go on where it stopped, cases that
are measured once, means over seeds, tables on the terminal, the folder with results and page, and what pages say in the
end.
"""
