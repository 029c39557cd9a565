"""What one block costs and allows: its settings checked, its veto asked, its closed form or its measure remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nas.arch.cost import Cost, Shape
from nas.arch.record import Value
from nas.blocks.base import Block
from nas.blocks.measure import call_text, measure
from nas.errors import BlockError, nearest

Settings = tuple[tuple[str, Value], ...]
"""(name, value) pairs sorted by name; options at default included."""


def full_settings(block: Block, given: Mapping[str, Any]) -> dict[str, Value]:
    """A block's choices and options, options filled in; raises BlockError on unknown or missing ones."""
    known = [*block.choices, *block.options]
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise BlockError(f"block {block.name!r} has no {name!r}{nearest(name, known)}; allowed: {allowed}")
    missing = [name for name in block.choices if name not in given]
    if missing:
        raise BlockError(f"block {block.name!r} needs {', '.join(missing)}")
    for name, value in given.items():
        _check_type(block, name, value)
    return {**block.options, **given}


def _check_type(block: Block, name: str, value: Value) -> None:
    """A value is of a type that the block declares for it: 1.5 or true is no reduction."""
    declared = block.choices[name] if name in block.choices else (block.options[name],)
    types = {type(one) for one in declared}
    if type(value) not in types and not (float in types and type(value) is int):
        named = " or ".join(sorted(kind.__name__ for kind in types))
        raise BlockError(f"block {block.name!r}: {name} = {value!r} is not of the type {named}")


@lru_cache(maxsize=200_000)
def block_layers(block: Block, shape: Shape, width: int, stride: int, given: Settings) -> tuple[Cost, ...]:
    """The costs of a block's layers for an input (C, H, W), declared or measured once and remembered.

    Raises BlockError where the block vetoes or breaks.
    """
    values = dict(given)
    if not is_valid(block, shape[0], width, stride, given):
        raise BlockError(
            f"{call_text(block, shape[0], width, stride, values)} cannot be built: the block does not allow it"
        )
    try:
        declared = block.cost(shape, width, stride, **values)
    except (Exception, SystemExit) as error:
        raise BlockError(
            f"{call_text(block, shape[0], width, stride, values)}: {type(error).__name__}: {error}"
        ) from error
    if declared is None:
        declared = measure(block, shape, width, stride, values)
    layers = (declared,) if isinstance(declared, Cost) else tuple(declared)
    if not layers or not all(isinstance(layer, Cost) for layer in layers):
        raise BlockError(f"block {block.name!r}: cost gave {declared!r}, not a Cost or a list of them")
    return layers


@lru_cache(maxsize=200_000)
def block_cost(block: Block, shape: Shape, width: int, stride: int, given: Settings) -> Cost:
    """The sum of `block_layers`; its receptive field is the block's own, in pixels of its input."""
    layers = block_layers(block, shape, width, stride, given)
    total = sum(layers[1:], layers[0])
    return replace(total, name="", input=shape, output=None)


@lru_cache(maxsize=200_000)
def is_valid(block: Block, in_channels: int, width: int, stride: int, given: Settings) -> bool:
    """Whether the block allows these numbers; a veto that itself breaks is a BlockError."""
    try:
        return bool(block.valid(in_channels, width, stride, **dict(given)))
    except (Exception, SystemExit) as error:
        call = call_text(block, in_channels, width, stride, dict(given))
        raise BlockError(f"{call}: valid failed: {type(error).__name__}: {error}") from error


def block_field(layers: tuple[Cost, ...]) -> int | None:
    """A block's own receptive field: the largest of its layers', None where one is unknown."""
    fields = [layer.receptive_field for layer in layers]
    known = [field for field in fields if field is not None]
    return max(known) if len(known) == len(fields) else None
