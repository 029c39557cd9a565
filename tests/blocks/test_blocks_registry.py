"""Plugins loaded, each in isolation."""

import sys

import pytest
from stranger_blocks import Ghost, made, plain

from nas.blocks import registry
from nas.blocks.base import Block, Odd, allowed, odd
from nas.blocks.registry import Blocks, load_blocks, load_path
from nas.errors import BlockError, PluginError

BUILT_IN = {"conv", "stacked", "bottleneck", "grouped", "separable", "inception", "spatial"}


class Distribution:
    name, version = "nas-strange", "1.2"


def entry(monkeypatch, value, name="strange"):
    """Announce a stranger's module beside the built-in ones, as an installed distribution does."""

    class Entry(registry.EntryPoint):
        dist = Distribution()

    usual = registry.entry_points(group="nas")
    monkeypatch.setattr(registry, "entry_points", lambda group: [*usual, Entry(name, value, group)])


def test_all_built_in_blocks_load_from_one_distribution():
    blocks = load_blocks(load=())
    assert set(blocks) == BUILT_IN
    assert len(blocks) == 7
    (plugin,) = blocks.plugins
    assert (plugin.name, set(plugin.blocks), plugin.error) == ("nas", BUILT_IN, None)


def test_a_folder_of_files_loads_each_as_a_plugin(plugin_file, tmp_path):
    plugin_file("one.py", "first")
    plugin_file("two.py", "second")
    plugin_file("test_one.py", "never")
    plugin_file("_private.py", "neither")
    blocks = load_blocks([tmp_path], load=())
    assert set(blocks) - BUILT_IN == {"first", "second"}
    assert blocks.version("first").startswith("one 0+")


def test_a_file_that_fails_to_import_is_named_and_the_rest_go_on(plugin_file, tmp_path):
    plugin_file("bad.py", text="import nothing_of_that_name")
    plugin_file("good.py", "good")
    blocks = load_blocks([tmp_path], load=())
    (bad,) = [plugin for plugin in blocks.plugins if plugin.error]
    assert (bad.name, bad.blocks) == ("bad", ())
    assert bad.error == "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    assert "good" in blocks
    assert not [name for name in sys.modules if name.startswith("nas_local_bad")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("from nas import hookimpl\n@hookimpl\ndef nas_register_block(register): ...", "nas_register_block"),
        ("from nas import hookimpl\n@hookimpl\ndef nas_register_blocks(register): register(3)", "3 is not a subclass"),
        ("from nas import hookimpl\n@hookimpl\ndef nas_register_blocks(register): 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_breaks_is_named_with_the_reason(plugin_file, tmp_path, text, reason):
    plugin_file("bad.py", text=text)
    blocks = load_blocks([tmp_path], load=())
    assert reason in next(plugin.error for plugin in blocks.plugins if plugin.name == "bad")
    assert set(blocks) == BUILT_IN


def test_of_two_blocks_with_one_name_the_first_stays(plugin_file, tmp_path):
    plugin_file("first.py", "toy")
    plugin_file("second.py", "toy")
    blocks = load_blocks([tmp_path], load=())
    assert blocks.registered["toy"].plugin == "first"
    second = next(plugin for plugin in blocks.plugins if plugin.name == "second")
    assert second.error == "block 'toy' is already registered by first; that one stays"


def test_a_stranger_cannot_take_a_built_in_name(plugin_file, tmp_path):
    plugin_file("mine.py", "conv")
    blocks = load_blocks([tmp_path], load=())
    assert blocks.registered["conv"].plugin == "nas"


def test_an_installed_stranger_loads(monkeypatch, plugin_file, tmp_path):
    plugin_file("strange_module.py", "strange")
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "strange_module")
    assert load_blocks().version("strange") == "nas-strange 1.2"


@pytest.mark.parametrize(
    ("named", "loads"), [("", False), ("other", False), ("nas-strange", True), (" strange , x", True)]
)
def test_the_environment_names_which_installed_strangers_load(monkeypatch, plugin_file, tmp_path, named, loads):
    plugin_file("strange_module.py", "strange")
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "strange_module")
    monkeypatch.setenv("NAS_LOAD_PLUGINS", named)
    blocks = load_blocks()
    assert ("strange" in blocks) == loads
    assert set(blocks) >= BUILT_IN


def test_an_entry_point_that_is_no_module_is_named(monkeypatch):
    entry(monkeypatch, "nas_plugins.conv:Conv")
    error = next(plugin.error for plugin in load_blocks().plugins if plugin.name == "nas-strange")
    assert "entry point strange = nas_plugins.conv:Conv is not a module" in error


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(PluginError, match="no such folder"):
        load_blocks([tmp_path / "none"])


def test_one_path_loads_alone(plugin_file, tmp_path):
    file = plugin_file("one.py", "first")
    package = plugin_file("two/__init__.py", "second").parent
    assert set(load_path(file)) == {"first"}
    assert set(load_path(package)) == {"second"}


def test_a_package_folder_finds_its_own_modules(plugin_file):
    plugin_file("deep/parts.py")
    package = plugin_file("deep/__init__.py", text="from .parts import Toy, nas_register_blocks").parent
    assert set(load_path(package)) == {"toy"}


def test_a_path_that_breaks_or_is_not_there_is_an_error(plugin_file, tmp_path):
    with pytest.raises(PluginError, match="no such plugin file or package folder"):
        load_path(tmp_path / "none.py")
    with pytest.raises(PluginError, match=r"bad.py: ZeroDivisionError"):
        load_path(plugin_file("bad.py", text="1 / 0"))


def test_an_unknown_block_is_told_with_the_nearest(blocks):
    with pytest.raises(BlockError, match=r"'stackd' is not registered \(did you mean 'stacked'\?\); registered: bott"):
        blocks["stackd"]


def test_a_missing_block_tells_which_plugins_are_broken(plugin_file, tmp_path):
    plugin_file("ghosts.py", text="1 / 0")
    with pytest.raises(BlockError, match=r"could not be loaded: ghosts \(ZeroDivisionError"):
        load_blocks([tmp_path], load=())["ghost"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"name": "with space"}, "'with space' is not a name"),
        ({"name": None}, "None is not a name"),
        ({"name": "repeat"}, "'repeat' is not a name"),
        ({"choices": {"width": (1, 2)}}, "width cannot name"),
        ({"choices": {"a": (1,)}, "options": {"a": 1}}, "a cannot name"),
        ({"choices": {"a": ()}}, "'a' declares no values"),
        ({"choices": {"a": "xyz"}}, "'a' declares no values"),
        ({"choices": {"a": (1, 1)}}, "'a' declares a value twice"),
        ({"build": Block.build}, "has no build"),
    ],
)
def test_an_unsound_declaration_is_refused(members, reason):
    with pytest.raises(BlockError, match=reason):
        Blocks().with_block(type("Odd", (made(plain),), members))


def test_a_registry_is_a_value(blocks):
    more = blocks.with_block(Ghost, "here", "1")
    assert "ghost" in more
    assert "ghost" not in blocks
    assert more.version("ghost") == "here 1"
    assert len(more) == len(list(more)) == 8


def test_odd_kernels_are_all_allowed_and_the_usual_listed():
    kernels = odd(1, default=3)
    assert list(kernels) == [3, 1, 5, 7]
    assert (len(kernels), kernels[0], repr(kernels)) == (4, 3, "odd numbers from 1")
    assert 11 in kernels
    assert not any(value in kernels for value in (2, -1, True, 3.0, "3"))
    assert allowed(Odd(3), [1, 9, 4, 3]) == (9, 3)


def test_a_block_without_build_says_so():
    with pytest.raises(NotImplementedError, match="'none' has no build"):
        type("None_", (Block,), {"name": "none"})().build(1, 1, 1)
