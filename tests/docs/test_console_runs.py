"""Lines behind a prompt, run on small files, with options added that make them quick.

`test_console_parses` looks at all lines; these run here. Not run are those that install something, need a Ray cluster
or the data of a benchmark, and those that take too long: the demos, ``autoarima``, and ``dasha genomics motifs``, which
compiles for half a minute. They have tests of their own. Lines of TorchGeo are in `test_torchgeo_page`.
"""

import json

import pytest
import yaml

from tests.docs import files
from tests.docs.pages import PAGES, commands_of, write_named_files

FORECASTS = [
    (page, command)
    for page in PAGES
    for command in commands_of(page)
    if command.startswith(("dasha forecast", "dasha backtest")) and "--engine ray" not in command
]
NETWORK = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
STAGES = ("fit", "test", "predict")
SHORT = "{search.epochs: 1, search.kernel_sizes: [3, 5], tune.trials: 1, tune.max_resource: 1}"
SEQUENCES = ["--model.budget=smoke", f"--model.overrides={SHORT}", "--model.backbone=wide_resnet_1d", *NETWORK]
TINY = ["search.epochs=1", "search.kernel_sizes=3,5", "tune.trials=1", "tune.max_resource=1", "retrain.epochs=1"]
FIT = ["--budget=smoke", *(f"--set={value}" for value in TINY)]


def begin(page, *beginnings):
    """Lines of a page that begin so, in their order."""
    return [command for command in commands_of(page) if command.startswith(beginnings)]


@pytest.mark.parametrize(("page", "command"), FORECASTS, ids=[" ".join(pair) for pair in FORECASTS])
def test_forecasts(page, command, run, folder):
    files.write_series(folder)
    if command.startswith("dasha backtest"):
        pytest.importorskip("darts")
        run(command, "--against", "naive,linear")
    else:
        run(command)
        assert (folder / "forecast" / "forecast.csv").is_file()


def test_images_of_the_readme(run, folder):
    files.write_images(folder / "images")
    (command,) = begin("README.md", "dasha fit")
    run(command, "--backbone=wide_resnet_2d", *FIT)
    assert (folder / "runs" / "images" / "report.html").is_file()


def test_sequences(run, folder):
    pytest.importorskip("lightning")
    files.write_sequences(folder / "data")
    files.write_fasta(folder / "new.fa")
    write_named_files("docs/genomics.md", folder)
    fit, test, predict = begin("docs/genomics.md", *(f"dasha genomics {name} --conf" for name in STAGES))
    run(fit, *SEQUENCES, "--trainer.max_epochs=1")
    run(test, *NETWORK)
    assert json.loads((folder / "runs/promoters/model_card.json").read_text())["test"]["samples"] == 40
    run(predict, *NETWORK)
    assert len((folder / "new.csv").read_text().split()) == 7


def test_sequences_of_the_readme_are_those_of_their_page(folder):
    assert set(begin("README.md", "dasha genomics test")) < set(commands_of("docs/genomics.md"))
    written = []
    for page in ("README.md", "docs/genomics.md"):
        write_named_files(page, folder)
        written.append(yaml.safe_load((folder / "fit.yaml").read_text()))
    assert written[0] == written[1]


@pytest.mark.slow
def test_searches(run, folder):
    """All of the page but a Ray cluster, a demo and a file of TorchGeo's."""
    files.write_arrays(folder)
    files.write_images(folder / "eurosat")
    commands = begin("docs/search.md", "dasha fit", "dasha search data", "dasha resume", "dasha report")
    commands = [command for command in commands if "--engine" not in command]
    assert len(commands) == 7
    for command in commands:
        backbone = "wide_resnet_1d" if "data.npz" in command else "wide_resnet_2d"
        run(command, *([f"--backbone={backbone}", *FIT] if command.startswith(("dasha fit", "dasha search")) else []))
