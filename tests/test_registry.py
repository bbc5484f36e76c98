import pytest

from dasha.errors import DuplicateNameError, InvalidArgumentError, UnknownNameError
from dasha.registry import Registry


@pytest.fixture
def registry():
    made = Registry("forecasters")
    made.register("autoar", dict, owner="one")
    made.register("ets", list, owner="two")
    return made


def test_is_a_sorted_mapping(registry):
    registry.register("a", set, owner="two")
    assert list(registry) == ["a", "autoar", "ets"]
    assert registry["ets"] is list
    assert len(registry) == 3
    assert "theta" not in registry
    assert registry.get("theta") is None
    assert repr(registry) == "Registry(forecasters: a, autoar, ets)"


def test_unknown_name_suggests_and_lists(registry):
    message = r"^'autoarr' is not among the forecasters; did you mean 'autoar'\? known: 'autoar', 'ets'$"
    with pytest.raises(UnknownNameError, match=message):
        registry["autoarr"]


def test_unknown_name_without_anything_similar(registry):
    with pytest.raises(UnknownNameError, match=r"^'qqq' is not among the forecasters; known: 'autoar', 'ets'$"):
        registry["qqq"]


def test_unknown_name_in_an_empty_registry_gives_the_advice():
    empty = Registry("tasks", advice=lambda: "; look elsewhere")
    with pytest.raises(UnknownNameError, match=r"^'x' is not among the tasks; known: none; look elsewhere$"):
        empty["x"]


def test_unknown_name_error_is_a_key_error(registry):
    with pytest.raises(KeyError):
        registry["qqq"]


def test_duplicate_names_both_plugins(registry):
    message = r"'ets' in forecasters is offered by plugin 'two' and again by plugin 'three'; rename one"
    with pytest.raises(DuplicateNameError, match=message):
        registry.register("ets", dict, owner="three")
    assert registry["ets"] is list


@pytest.mark.parametrize("name", ["", " ", "1st", "a b", "-x", "é", None, 3, "a\n"])
def test_malformed_name(registry, name):
    with pytest.raises(InvalidArgumentError, match=r"^name=.* in forecasters must be letters, digits"):
        registry.register(name, dict, owner="one")


def test_factory_must_be_callable(registry):
    with pytest.raises(InvalidArgumentError, match=r"factory of 'x' in forecasters is 3, but must be callable; wrap"):
        registry.register("x", 3, owner="one")
    assert "x" not in registry


def test_owner_and_withdrawal(registry):
    registry.register("b", set, owner="two")
    assert registry.owner("b") == "two"
    assert registry.names_of("two") == ("b", "ets")
    registry.withdraw("two")
    assert list(registry) == ["autoar"]
    with pytest.raises(UnknownNameError, match=r"'b' is not among"):
        registry.owner("b")
    registry.register("ets", tuple, owner="three")
    assert registry.owner("ets") == "three"
