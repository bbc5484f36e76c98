"""Accuracy of Auto-AR on the long-term forecasting benchmark, by the protocol of arXiv 2411.02796.

Measured: MSE and MAE of forecasts from every origin of the test part (stride 1, no batch dropped), averaged over
origins, channels and steps on the scale standardised with the training part; the mean of the root of the MSE over all
settings; seconds of fitting (training + validation rows) and of forecasting. A forecast sees 512 rows at most; the
preset "zero-shot" sees nothing else, the others learn from the training and validation rows. Published figures are
shown beside these, each with its source; none of them is run.

Splits: ETTh 8640/2880/2880 rows, ETTm four times that, other files 70/10/20 % of the rows. Horizons 96, 192, 336 and
720, for national_illness 24, 36, 48 and 60.
"""
