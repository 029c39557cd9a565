"""The page on the command says what the program takes, no more and no less."""

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from nas.cli.groups import DefaultGroup, LazyGroup
from nas.cli.main import COMMANDS, cli
from nas.cli.options import common

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


@common
def shared_options():
    """Carries the options of every command."""


SHARED = {name for option in shared_options.__click_params__ for name in option.opts}


def tree(name, command):
    """Every command that does something, by its full name."""
    own = command.default if isinstance(command, DefaultGroup) else command
    found = {} if type(own) in (click.Group, LazyGroup) else {name: own}
    lazy = command.table if isinstance(command, LazyGroup) else {}
    inside = {word: getattr(import_module(place.module), place.attribute) for word, place in lazy.items()}
    for word, inner in {**getattr(command, "commands", {}), **inside}.items():
        found |= tree(f"{name} {word}", inner)
    return found


COMMAND_TREE = {}
for word, place in COMMANDS.items():
    COMMAND_TREE |= tree(f"nas {word}", getattr(import_module(place.module), place.attribute))


def section(heading):
    found = re.search(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def rows(text):
    """The options in the first column of a section's table."""
    cells = re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}


def test_every_command_has_a_section_and_every_section_is_a_command():
    assert len(COMMAND_TREE) >= 18
    assert set(re.findall(r"^### (nas .*)$", PAGE, re.MULTILINE)) == set(COMMAND_TREE)


@pytest.mark.parametrize("name", sorted(COMMAND_TREE))
def test_options_on_the_page_are_the_command_s(name):
    options = [one for one in COMMAND_TREE[name].params if isinstance(one, click.Option)]
    names = {word for option in options for word in option.opts}
    assert names >= SHARED
    assert rows(section(name)) == names - SHARED


def test_shared_options_are_those_of_the_page():
    names = {word for option in cli.params if isinstance(option, click.Option) for word in option.opts}
    assert rows(section("Options of every command")) == SHARED | {"-h", "--help"}
    assert names == SHARED | {"--version"}


@pytest.mark.parametrize("name", sorted(COMMAND_TREE))
def test_every_option_and_command_is_explained(name):
    assert COMMAND_TREE[name].help
    for option in COMMAND_TREE[name].params:
        assert isinstance(option, click.Argument) or option.help, option.name
