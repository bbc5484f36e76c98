"""``dasha search``: what ``dasha fit`` does before the final training."""

from dasha.cli._fit_options import FitOptions, takes


@takes(FitOptions)
def search(options: FitOptions) -> None:
    """Search kernels and tune hyperparameters, but train no network; everything is kept in a folder.

    Data and options are those of dasha fit, which goes on from there with the same words.
    """
    from dasha.cli._fit_run import run_command

    run_command("search", options)
