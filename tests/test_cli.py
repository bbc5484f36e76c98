import json
import math
import re
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import typer

import dasha
from dasha import cli, manager
from dasha.cli._output import format_cell, print_json, print_rows, print_table
from dasha.errors import DashaError


@pytest.fixture
def with_commands(monkeypatch, plugin_of):
    """Replace the manager of the process by one that also has the given commands."""

    def make(**targets):
        def offer(commands):
            for name, target in targets.items():
                commands.add_command(name, target, help="For the test.")

        made = dasha.PluginManager(found=[]).load()
        made.register(plugin_of(register_commands=dasha.hookimpl(lambda cli: offer(cli))), name="test")
        monkeypatch.setattr(manager, "_default", made)

    return make


def failing(error):
    def command():
        raise error

    return command


def test_version(dasha_cli):
    result = dasha_cli("--version")
    assert (result.returncode, result.stdout) == (0, f"dasha {dasha.__version__}\n")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", dasha.__version__)


def test_the_script_is_installed():
    assert (Path(sysconfig.get_path("scripts")) / "dasha").exists()


def test_without_arguments_the_help_is_shown(capsys):
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: dasha [OPTIONS] COMMAND [ARGS]...")
    for command in ("doctor", "plugins", "forecast", "fit", "search", "resume", "report", "backtest", "demo", "bench"):
        assert re.search(rf"^  {command} ", out, re.MULTILINE)


def test_help_of_a_command(capsys):
    assert cli.main(["plugins", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: dasha plugins [OPTIONS]")
    assert "Print only JSON on standard output." in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["plugns"], "No such command 'plugns'. Did you mean 'plugins'? (see 'dasha --help')"),
        (["plugins", "--nope"], "No such option: --nope (see 'dasha plugins --help')"),
        (["plugins", "extra"], "Got unexpected extra argument(s) (extra) (see 'dasha plugins --help')"),
        (["--nope"], "No such option: --nope (see 'dasha --help')"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(capsys, arguments, line):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"dasha: error: {line}\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DashaError("a\n  b"), "dasha: error: a b"),
        (FileNotFoundError(2, "No such file", "x.csv"), "dasha: error: [Errno 2] No such file: 'x.csv'"),
        (ValueError("odd"), "dasha: error: ValueError: odd (unexpected; --debug shows the traceback)"),
        (typer.BadParameter("no"), "dasha: error: Invalid value: no (see 'dasha run --help')"),
    ],
)
def test_errors_are_one_line_and_status_2(with_commands, capsys, error, line):
    with_commands(run=failing(error))
    assert cli.main(["run"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", line + "\n")


@pytest.mark.parametrize("arguments", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback(with_commands, capsys, arguments):
    with_commands(run=failing(DashaError("reason")))
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("dasha: error: reason\n")


def test_debug_after_a_double_dash_is_an_argument():
    assert cli.take_debug(["run", "--", "--debug"]) == (["run", "--", "--debug"], False)
    assert cli.take_debug(["--debug", "run", "--", "--debug"]) == (["run", "--", "--debug"], True)


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (typer.Exit(3), 3), (typer.Exit(), 0), (typer.Abort(), 1)]
)
def test_exit_status(with_commands, error, status):
    with_commands(run=failing(error))
    assert cli.main(["run"]) == status


def test_what_a_command_returns_is_no_exit_status(with_commands):
    with_commands(run=lambda: 7)
    assert cli.main(["run"]) == 0


def test_a_typer_app_becomes_a_group_of_commands(with_commands, capsys):
    app = typer.Typer()

    @app.command()
    def one(x: int):
        """First."""
        typer.echo(f"one {x}")

    with_commands(many=app)
    assert cli.main(["many", "one", "5"]) == 0
    assert capsys.readouterr().out == "one 5\n"
    assert cli.main(["many", "--help"]) == 0
    assert "one  First." in capsys.readouterr().out


def test_a_dotted_name_is_a_sub_command_of_whoever_offers_the_first_word(with_commands, capsys):
    app = typer.Typer()

    @app.command()
    def one():
        """First."""

    def two(x: int):
        """Second."""
        typer.echo(f"two {x}")

    with_commands(**{"many": app, "many.two": two, "alone.two": two})
    assert cli.main(["many", "two", "5"]) == 0
    assert cli.main(["alone", "two", "6"]) == 0
    assert capsys.readouterr().out == "two 5\ntwo 6\n"
    assert cli.main(["many", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "one  First." in shown
    assert "two  For the test." in shown
    assert cli.main(["--help"]) == 0
    assert "many.two" not in capsys.readouterr().out


def test_a_function_has_sub_commands_where_its_first_argument_names_one(with_commands, capsys):
    def lone(x: str):
        """Alone."""
        typer.echo(f"lone {x}")

    def two(x: int):
        """Second."""
        typer.echo(f"two {x}")

    with_commands(**{"lone": lone, "lone.two": two})
    assert cli.main(["lone", "three"]) == 0
    assert cli.main(["lone", "./two"]) == 0
    assert cli.main(["lone", "two", "5"]) == 0
    assert capsys.readouterr().out == "lone three\nlone ./two\ntwo 5\n"
    assert cli.main(["lone", "--help"]) == 0
    assert "'lone two': For the test." in capsys.readouterr().out
    assert cli.main(["lone", "two", "five"]) == 2
    assert "(see 'dasha lone two --help')" in capsys.readouterr().err


def test_arguments_are_passed_on_as_they_were_typed(monkeypatch, plugin_of):
    seen = []

    def run(context: typer.Context):
        """Hand on."""
        seen.append(context.args)

    offer = dasha.hookimpl(lambda cli: cli.add_command("run", run, passes_on=True))
    made = dasha.PluginManager(found=[]).load()
    made.register(plugin_of(register_commands=offer), name="test")
    monkeypatch.setattr(manager, "_default", made)
    assert cli.main(["run", "--config", "x.yaml", "--help", "--data.path=y"]) == 0
    assert seen == [["--config", "x.yaml", "--help", "--data.path=y"]]


def test_an_unknown_command_mentions_plugins_that_failed(install_plugin, dasha_cli):
    site = install_plugin("bad_one", "1 / 0")
    result = dasha_cli("wanted", path=[site])
    assert result.returncode == 2
    assert "No such command 'wanted'; failed to load: 'bad_one', run `dasha doctor` to see why" in result.stderr


def test_plugins_lists_failures_without_failing(install_plugin, dasha_cli):
    site = install_plugin("bad_one", "1 / 0")
    listed = dasha_cli("plugins", path=[site])
    assert listed.returncode == 0
    assert "ZeroDivisionError: division by zero" in listed.stdout
    assert "dist-bad-one 1.0" in listed.stdout


def test_plugins_json(dasha_cli):
    plugins = {plugin["name"]: plugin for plugin in json.loads(dasha_cli("plugins", "--json").stdout)}
    assert set(plugins) >= {"dasha", "darts_autoar", "torchgeo_dasha", "genomics_adapter"}
    darts = plugins["darts_autoar"]
    assert darts["distribution"] == "dasha-plugins"
    assert darts["version"] == dasha.__version__
    assert darts["offers"]["adapters"] == ["darts", "gluonts"]
    assert darts["requires"][0]["fix"] == "pip install 'dasha-plugins[darts]'"
    assert darts["file"].endswith("plugin.py")


def test_json_is_plain(capsys):
    print_json({"a": (1, np.float32(0.5)), "b": math.nan, "c": np.array([1.0, math.inf]), "d": Path("x"), 3: None})
    assert json.loads(capsys.readouterr().out) == {"a": [1, 0.5], "b": None, "c": [1.0, None], "d": "x", "3": None}
    with pytest.raises(TypeError, match=r"^cannot write object as JSON$"):
        print_json(object())


def test_tables_show_square_brackets_and_align_numbers(capsys):
    print_table([{"what": "pip install 'x[y]'", "n": 5}, {"what": "z", "n": 12}], title="The [title]")
    out = capsys.readouterr().out
    assert "The [title]" in out
    assert "pip install 'x[y]'" in out
    assert "│  5 │" in out


def test_rows_as_table_or_json(capsys):
    print_rows([{"a": 1}], as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"a": 1}]
    print_rows([], as_json=True)
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(("value", "text"), [(0.123456, "0.1235"), (math.nan, "-"), (None, ""), (3, "3"), ("x", "x")])
def test_cells(value, text):
    assert format_cell(value) == text
