"""A plugin made from templates: a distribution of its own with a block that works, tests and an entry point."""

from __future__ import annotations

import keyword
from importlib.resources import files
from pathlib import Path

from nas.blocks.base import Block
from nas.blocks.registry import Blocks
from nas.errors import BlockError, PluginError

LONGEST = 60
"""Letters of a plugin's name."""

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "nas_{name}.py": "module.py.txt",
    "tests/test_{name}.py": "test.py.txt",
    "README.md": "README.md.txt",
}
"""The files of a plugin, and the templates they are made from; `{name}` and `{class_name}` are put in."""


def make_plugin(name: str, where: Path, blocks: Blocks) -> Path:
    """Write the folder `nas-NAME` and give its path.

    Raises PluginError for a name that cannot be a block's, or is one already, and where the folder exists.
    """
    _check_name(name, blocks)
    folder = where / f"nas-{name}"
    if folder.exists():
        raise PluginError(f"{folder}: exists already; nothing was written")
    try:
        for file, template in FILES.items():
            path = folder / _filled(file, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(_template(template), name), encoding="utf-8")
    except OSError as error:
        raise PluginError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def _check_name(name: str, blocks: Blocks) -> None:
    if (
        len(name) > LONGEST
        or not name.isidentifier()
        or not name.isascii()
        or name != name.lower()
        or keyword.iskeyword(name)
    ):
        raise PluginError(
            f"{name[:80]!r} cannot name a block; allowed: up to {LONGEST} of a to z, digits and _, as ghost_two"
        )
    if name in blocks:
        raise PluginError(f"block {name!r} is registered already, by {blocks.version(name)}; choose another name")
    try:
        Blocks().with_block(type(name, (Block,), {"name": name, "build": lambda self: None}))
    except BlockError as error:
        raise PluginError(f"{name!r} cannot name a block: {error}") from error


def _template(name: str) -> str:
    return (files("nas.cli") / "templates" / name).read_text(encoding="utf-8")


def _filled(text: str, name: str) -> str:
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return text.replace("{name}", name).replace("{class_name}", class_name)
