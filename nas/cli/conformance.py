"""Which blocks `nas plugins check` is asked to check, and what the conformance kit says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.blocks.base import Block
from nas.blocks.registry import Blocks, load_path
from nas.errors import BlockError, PluginError, nearest
from nas.show.table import Column
from nas.testing import check_block

CHECK_FIELDS = ("block", "check", "passed", "problems", "notes")


MOST_SAID = 2
"""So many problems of a check stand in the table; JSON has them all."""


def _said(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - MOST_SAID} more"] if len(lines) > MOST_SAID else []
    return "; ".join([*lines[:MOST_SAID], *more])


CHECKS = (
    Column("block", "block"),
    Column("check", "check"),
    Column("passed", "result", lambda passed: "ok" if passed else "FAILED"),
    Column("problems", "problems", _said),
    Column("notes", "notes", _said),
)


def blocks_called(target: str, registered: Blocks) -> list[Block]:
    """The block of that name, the blocks of the plugin of that name, or those in a `.py` file or folder.

    Raises PluginError where there is none, or where the plugin could not be loaded.
    """
    if not target.strip():
        raise PluginError(f"{target!r} is no block, no plugin, and no file or folder")
    if target in registered:
        return [registered[target]]
    named = [plugin for plugin in registered.plugins if plugin.name == target]
    if named and not Path(target).exists():
        errors = [plugin.error for plugin in named if plugin.error]
        if errors:
            raise PluginError("\n".join(f"plugin {target!r}: {error}" for error in errors))
        return [registered[name] for plugin in named for name in plugin.blocks]
    if not Path(target).exists():
        known = [*registered, *(plugin.name for plugin in registered.plugins)]
        raise PluginError(f"{target!r} is no block, no plugin, and no file or folder{nearest(target, known)}")
    found = [block for file in _files(Path(target)) for block in load_path(file).values()]
    if not found:
        raise PluginError(f"{target}: registers no block; is its hook nas_register_blocks marked with @hookimpl?")
    return found


def _files(path: Path) -> list[Path]:
    """The path itself, or, of the folder of a distribution, its modules and packages."""
    if path.is_file() or (path / "__init__.py").is_file():
        return [path]
    modules = [file for file in sorted(path.glob("*.py")) if not file.name.startswith(("_", "test_", "conftest"))]
    packages = [file.parent for file in sorted(path.glob("*/__init__.py")) if not file.parent.name.startswith("test")]
    if not modules + packages:
        raise PluginError(f"{path}: a folder without Python files")
    return [file for file in modules + packages if file.name != "setup.py"]


def check_records(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """A record a check of each block."""
    return [
        {
            "block": block.name,
            "check": finding.name,
            "passed": finding.passed,
            "problems": list(finding.problems),
            "notes": list(finding.notes),
        }
        for block in blocks
        for finding in check_block(block)
    ]


def verdict(records: Sequence[dict[str, Any]]) -> None:
    """Raise BlockError where a check failed."""
    failed = [f"{record['block']} {record['check']}" for record in records if not record["passed"]]
    if failed:
        raise BlockError(f"{len(failed)} of {len(records)} checks failed: {', '.join(failed)}")
