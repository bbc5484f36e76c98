import sys

import pytest

import dasha
from dasha import PluginManager, manager
from dasha.errors import DuplicateNameError, InvalidArgumentError, PluginError, UnknownNameError

GOOD = """
    @dasha.hookimpl
    def register_forecasters(register):
        register("fine", dict)
"""


def load(**options):
    return PluginManager(**options).load()


def record_of(loaded, name):
    return next(record for record in loaded.plugins if record.name == name)


def test_the_built_ins_come_first_and_load():
    records = load().plugins
    built_in = ["dasha", "darts_autoar", "genomics_adapter", "torchgeo_dasha"]
    assert [record.name for record in records][:4] == built_in
    for record in records[:4]:
        assert (record.distribution, record.version) == ("dasha-plugins", dasha.__version__)
        assert (record.status, record.error, record.fix) == ("ok", "", "")


def test_what_the_built_ins_offer():
    loaded = load(disabled=[])
    assert record_of(loaded, "dasha").offers == {
        "backbones": ("aligned_resnet_1d", "peak_resnet_1d", "unet_1d", "unet_2d", "wide_resnet_1d", "wide_resnet_2d"),
        "commands": ("doctor", "fit", "forecast", "plugins", "report", "resume", "search"),
        "tasks": ("digits",),
    }
    darts = record_of(loaded, "darts_autoar")
    assert darts.offers == {
        "forecasters": ("autoar",),
        "adapters": ("darts", "gluonts"),
        "commands": ("backtest", "bench", "demo"),
    }
    assert [need.module for need in darts.requires] == ["darts", "gluonts"]


def test_an_installed_plugin_is_found(install_plugin):
    install_plugin("stranger", GOOD, distribution="strange-things", version="2.5", entry_point="odd")
    loaded = load()
    record = record_of(loaded, "odd")
    assert (record.module, record.distribution, record.version) == ("stranger", "strange-things", "2.5")
    assert record.offers == {"forecasters": ("fine",)}
    assert loaded.forecasters["fine"] is dict
    assert loaded.forecasters.owner("fine") == "odd"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
        ("raise RuntimeError", "RuntimeError: no message"),
        ("raise ValueError('two\\n  lines')", "ValueError: two lines"),
        ("requires = 'darts'", "PluginError: requires='darts' must be a tuple of dasha.Requirement"),
    ],
)
def test_a_plugin_that_fails_to_load_leaves_the_others(install_plugin, code, error):
    install_plugin("bad_one", code)
    install_plugin("zz_good", GOOD)
    loaded = load()
    bad = record_of(loaded, "bad_one")
    assert (bad.status, bad.error, bad.fix) == ("failed", error, "pip install --upgrade dist-bad-one")
    assert bad.exception is not None
    assert loaded.failed == (bad,)
    assert loaded.forecasters["fine"] is dict
    assert "autoar" in loaded.forecasters


def test_everything_a_failing_plugin_registered_is_withdrawn(install_plugin):
    install_plugin(
        "half",
        """
        @dasha.hookimpl
        def register_backbones(register):
            register("net", dict)

        @dasha.hookimpl
        def register_forecasters(register):
            register("fine", list)
            register("not-callable", 3)

        @dasha.hookimpl
        def register_commands(cli):
            cli.add_command("half", "half:main", help="Never seen.")
        """,
    )
    install_plugin("whole", GOOD)
    loaded = load()
    half = record_of(loaded, "half")
    assert half.error == (
        "InvalidArgumentError: factory of 'not-callable' in forecasters is 3, but must be callable; "
        "wrap the object in a function that returns it"
    )
    assert half.offers == {}
    assert "net" not in loaded.backbones
    assert "half" not in loaded.commands
    assert loaded.forecasters.owner("fine") == "whole"


def test_a_failing_hook_of_one_plugin_is_not_called_for_another(install_plugin):
    install_plugin(
        "fragile",
        """
        calls = []

        @dasha.hookimpl
        def register_tasks(register):
            calls.append(1)
            raise OSError("disk")
        """,
    )
    install_plugin("zz_good", GOOD)
    loaded = load()
    assert record_of(loaded, "fragile").error == "OSError: disk"
    assert sys.modules["fragile"].calls == [1]


@pytest.mark.parametrize("source", ["import", "hook"])
def test_keyboard_interrupt_is_not_swallowed(install_plugin, source):
    body = (
        "raise KeyboardInterrupt" if source == "import" else GOOD.replace("register(", "raise KeyboardInterrupt or (")
    )
    install_plugin("stubborn", body)
    with pytest.raises(KeyboardInterrupt):
        load()


def test_a_misspelt_hook_is_refused_with_a_guess(plugin_of):
    plugin = plugin_of(register_forcasters=dasha.hookimpl(lambda register: None))
    message = r"register_forcasters is marked .* is no hook; did you mean 'register_forecasters'.*hooks: register_back"
    with pytest.raises(PluginError, match=message):
        PluginManager().register(plugin, name="p")


def test_a_hook_named_by_specname_is_checked_under_that_name(plugin_of):
    plugin = plugin_of(mine=dasha.hookimpl(lambda register: register("x", dict), specname="register_tasks"))
    assert PluginManager().register(plugin, name="p").offers == {"tasks": ("x",)}
    wrong = plugin_of(mine=dasha.hookimpl(lambda register: None, specname="register_task"))
    with pytest.raises(
        PluginError, match=r"mine is marked .* 'register_task' is no hook; did you mean 'register_tasks'"
    ):
        PluginManager().register(wrong, name="p")


def test_an_unmarked_hook_is_refused(plugin_of):
    plugin = plugin_of(register_tasks=lambda register: None)
    with pytest.raises(PluginError, match=r"^register_tasks is not marked and would never be called; put @dasha"):
        PluginManager().register(plugin, name="p")


def test_a_hook_that_takes_unknown_arguments_is_refused(plugin_of):
    plugin = plugin_of(register_tasks=dasha.hookimpl(lambda register, extra: None))
    with pytest.raises(PluginError, match=r"^register_tasks takes 'extra', but the hook passes only 'register'$"):
        PluginManager().register(plugin, name="p")


def test_a_name_taken_by_another_plugin_is_refused(install_plugin):
    install_plugin("aa_first", GOOD)
    install_plugin("bb_second", GOOD)
    loaded = load()
    second = record_of(loaded, "bb_second")
    assert "'fine' in forecasters is offered by plugin 'aa_first' and again by plugin 'bb_second'" in second.error
    assert second.fix == "pip uninstall dist-bb-second"
    assert loaded.forecasters.owner("fine") == "aa_first"


def test_a_stranger_cannot_take_a_built_in_name(install_plugin):
    install_plugin("aaa", GOOD.replace("fine", "autoar"), distribution="aaa")
    loaded = load()
    assert loaded.forecasters.owner("autoar") == "darts_autoar"
    assert record_of(loaded, "aaa").status == "failed"


def test_a_stranger_cannot_take_a_core_command(install_plugin):
    code = """
        @dasha.hookimpl
        def register_commands(cli):
            cli.add_command("doctor", "aaa:main", help="Not the doctor.")
    """
    install_plugin("aaa", code, distribution="aaa")
    loaded = load()
    assert loaded.commands["doctor"].target == "dasha.cli.doctor:doctor"
    assert "'doctor' in commands is offered by plugin 'dasha'" in record_of(loaded, "aaa").error


def test_two_plugins_of_one_name(install_plugin):
    install_plugin("one_module", GOOD, distribution="dist-a", entry_point="same")
    install_plugin("two_module", GOOD, distribution="dist-b", entry_point="same")
    loaded = load()
    assert record_of(loaded, "same").distribution == "dist-a"
    (failed,) = loaded.failed
    assert "plugin name 'same' is used by 'dist-a' and again by 'dist-b'" in failed.error


def test_unknown_names_mention_the_plugins_that_failed(install_plugin):
    install_plugin("bad_one", "1 / 0")
    with pytest.raises(
        UnknownNameError, match=r"'net' is not among the backbones; .*failed to load: 'bad_one', run `da"
    ):
        load().backbones["net"]


def test_disabled_plugins_are_not_imported(install_plugin, monkeypatch):
    install_plugin("unwanted", "1 / 0")
    monkeypatch.setenv("DASHA_DISABLE_PLUGINS", " unwanted , torchgeo_dasha,")
    loaded = load()
    assert loaded.failed == ()
    assert record_of(loaded, "unwanted").status == "disabled"
    assert record_of(loaded, "unwanted").fix == "take 'unwanted' out of $DASHA_DISABLE_PLUGINS"
    assert record_of(loaded, "torchgeo_dasha").status == "disabled"
    assert "unwanted" not in sys.modules


def test_loading_twice_changes_nothing(install_plugin):
    install_plugin("stranger", GOOD)
    loaded = load()
    before = loaded.plugins
    assert loaded.load().plugins == before


def test_a_plugin_registered_by_hand_raises_and_leaves_no_trace(plugin_of):
    def offer(register):
        register("fine", dict)
        register("", dict)

    loaded = PluginManager()
    with pytest.raises(InvalidArgumentError, match=r"^name='' in tasks must be letters"):
        loaded.register(plugin_of(register_tasks=dasha.hookimpl(offer)), name="p")
    assert list(loaded.tasks) == []
    assert loaded.plugins == ()
    loaded.register(plugin_of(), name="p")
    with pytest.raises(DuplicateNameError, match=r"^name='p' is taken by plugin"):
        loaded.register(plugin_of(), name="p")


@pytest.mark.parametrize(
    ("name", "target", "options", "message"),
    [
        ("Bad", print, {"help": "x"}, "command name='Bad' must be small letters"),
        ("", print, {"help": "x"}, "command name='' must be small letters"),
        ("run", "no colon", {"help": "x"}, "target='no colon' of command 'run' must be a function"),
        ("run", 3, {"help": "x"}, "target=3 of command 'run' must be a function"),
        ("run", "module:main", {}, "command 'run' has no help; pass help='one line'"),
        ("run", lambda: None, {}, "command 'run' has no help; pass help='one line'"),
    ],
)
def test_malformed_commands(name, target, options, message, plugin_of):
    plugin = plugin_of(register_commands=dasha.hookimpl(lambda cli: cli.add_command(name, target, **options)))
    with pytest.raises(InvalidArgumentError, match=message):
        PluginManager().register(plugin, name="p")


def test_the_help_of_a_command_comes_from_its_docstring(plugin_of):
    def main():
        """Do it.

        At length.
        """

    loaded = PluginManager()
    plugin = plugin_of(register_commands=dasha.hookimpl(lambda cli: cli.add_command("run", main)))
    loaded.register(plugin, name="p")
    assert loaded.commands["run"].help == "Do it."
    assert loaded.commands["run"]() is main


def test_a_command_target_that_does_not_exist(plugin_of):
    def offer(cli):
        cli.add_command("run", "dasha.errors:nothing", help="x")

    loaded = PluginManager()
    loaded.register(plugin_of(register_commands=dasha.hookimpl(offer)), name="p")
    with pytest.raises(PluginError, match=r"'dasha.errors:nothing' does not exist: 'dasha.errors' has no 'nothing'"):
        loaded.commands["run"]()


@pytest.fixture
def fresh_default(monkeypatch):
    monkeypatch.setattr(manager, "_default", None)


@pytest.mark.usefixtures("fresh_default")
def test_there_is_one_default_manager():
    assert dasha.get_manager() is dasha.get_manager()


@pytest.mark.usefixtures("fresh_default")
def test_a_plugin_may_ask_for_the_default_manager_while_it_is_loaded(install_plugin):
    install_plugin("curious", GOOD + "\n    seen = dasha.get_manager()")
    loaded = dasha.get_manager()
    assert sys.modules["curious"].seen is loaded
    assert "fine" in loaded.forecasters


@pytest.mark.usefixtures("fresh_default")
def test_an_interrupted_load_is_not_kept(install_plugin):
    install_plugin("stubborn", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        dasha.get_manager()
    assert manager._default is None


@pytest.mark.parametrize("name", ["doctor", "forecast", "plugins", "backtest", "demo"])
def test_every_built_in_command_exists(name):
    assert callable(dasha.get_manager().commands[name]())
