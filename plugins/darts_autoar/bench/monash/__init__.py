"""Auto-AR beside established methods on data sets of the Monash archive, many series each.

The last steps of every series, as many as the archive's official horizon, are held out, and every method forecasts them
from what lies before. Reported per method and data set: MASE and sMAPE as the archive defines them, the mean weighted
quantile loss over the levels .1 … .9 as GluonTS does, and seconds of fitting and forecasting, all by the clock of the
processor on one thread, so that methods compare even where other work runs beside them.

A series on which a method fails gets the seasonal naive forecast; how many these are is in the table, which ones and
why in the JSON file.
"""
