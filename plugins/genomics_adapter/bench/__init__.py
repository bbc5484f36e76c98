"""DASHA on published tasks of DNA sequences, beside published models and simple baselines.

Tasks: those of GUE (folders ``gue_…``), the 18 of the Nucleotide Transformer (folders ``nt_…``, or Hugging Face), and
two of UCI. Splits are those of the folders, for GUE the published ones; where there is no validation data, a tenth of
every class of the training data, always the same, becomes it. Measured: the metric of the benchmark (MCC, F1 of class
1, or accuracy) on test data, once over all predictions, by seed; seconds of everything; parameters. Nothing is chosen
on test data. The strand of training sequences is random, and predictions are the mean over both strands, except for
splice sites, which have a strand.
"""
