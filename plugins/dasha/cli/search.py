"""``dasha search``: what ``dasha fit`` does before the final training."""

from dasha.cli._fit_options import SearchOptions, takes


@takes(SearchOptions)
def search(options: SearchOptions) -> None:
    """Search kernels and tune hyperparameters, but train no network; everything is kept in a folder.

    Data and options are those of dasha fit, which goes on from there with the same words. With --config, a file that a
    host such as TorchGeo trains from says all of it, and the host goes on from there.
    """
    if options.config is not None:
        from dasha.cli._config_run import run_configuration

        run_configuration(options)
        return
    from dasha.cli._fit_run import run_command

    run_command("search", options.of_data())
