"""Blocks and plugins as plain records, and a block for eyes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from nas.blocks.registry import Blocks, Plugin
from nas.show.table import pairs, plain

BLOCK_FIELDS = ("name", "plugin", "version", "choices", "options", "summary")
PLUGIN_FIELDS = tuple(field.name for field in fields(Plugin))


def block_record(blocks: Blocks, name: str) -> dict[str, Any]:
    """One block as `nas blocks` lists it. Raises BlockError, with the nearest spelling, where it is not registered."""
    block = blocks[name]
    origin = blocks.registered[name]
    return {
        "name": name,
        "plugin": origin.plugin,
        "version": origin.version,
        "choices": {choice: list(values) for choice, values in block.choices.items()},
        "options": dict(block.options),
        "summary": next(iter(_document(type(block)).splitlines()), ""),
    }


def block_text(blocks: Blocks, name: str) -> str:
    """One block: where it comes from, and what may be chosen; values that are a rule are told as one."""
    record, block = block_record(blocks, name), blocks[name]
    lines = [("block", name), ("plugin", f"{record['plugin']} {record['version']}"), ("summary", record["summary"])]
    for choice, values in block.choices.items():
        rule = "" if isinstance(values, tuple | list) else f" ({values!r})"
        lines.append((f"choice {choice}", f"{plain(list(values))}{rule}"))
    lines += [(f"option {option}", f"{default!r} by default") for option, default in block.options.items()]
    return pairs(lines)


def plugin_records(blocks: Blocks, lies: Mapping[str, str]) -> list[dict[str, Any]]:
    """The plugins with what is wrong with them: why one could not be loaded, and `lies`, a reason by block name."""
    records = []
    for plugin in blocks.plugins:
        reasons = [plugin.error, *(lies.get(name) for name in plugin.blocks)]
        error = "; ".join(reason for reason in reasons if reason) or None
        records.append({**asdict(plugin), "blocks": list(plugin.blocks), "error": error})
    return records


def _document(kind: type) -> str:
    """The class's own docstring; a base class's would tell of another block."""
    return inspect.cleandoc(kind.__dict__.get("__doc__") or "")
