"""``dasha fit``: kernels searched, hyperparameters tuned and a network trained, from data to a report."""

from dasha.cli._fit_options import FitOptions, takes


@takes(FitOptions)
def fit(options: FitOptions) -> None:
    """Search kernels, tune hyperparameters, train and test a network; everything is kept in a folder.

    The .npz file holds x_train, y_train, x_val, y_val and perhaps x_test, y_test; inputs are (N, C, L) or (N, C, H, W).
    The folder holds images in a folder for every class, split by train.txt, val.txt and test.txt, or by folders train,
    val and test; otherwise they are split for you. Nothing is chosen on test data.
    """
    from dasha.cli._fit_run import run_command

    run_command("fit", options)
