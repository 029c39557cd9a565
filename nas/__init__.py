"""Architecture search for convolutional networks under a hard budget: the public names, each loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.arch.cost import Cost
    from nas.arch.read import architecture_from_json, read_architecture
    from nas.arch.spec import Architecture
    from nas.blocks.base import Block, odd
    from nas.blocks.hookspecs import hookimpl
    from nas.blocks.registry import Blocks, load_blocks
    from nas.blocks.trace import NetworkCost, cost, normalise
    from nas.errors import NasError

_HOMES = {
    "Architecture": "nas.arch.spec",
    "Block": "nas.blocks.base",
    "Blocks": "nas.blocks.registry",
    "Cost": "nas.arch.cost",
    "NasError": "nas.errors",
    "NetworkCost": "nas.blocks.trace",
    "architecture_from_json": "nas.arch.read",
    "cost": "nas.blocks.trace",
    "hookimpl": "nas.blocks.hookspecs",
    "load_blocks": "nas.blocks.registry",
    "normalise": "nas.blocks.trace",
    "odd": "nas.blocks.base",
    "read_architecture": "nas.arch.read",
}
"""The table of the face: where each public name lives. It is the only laziness in the program."""

__all__ = [
    "Architecture",
    "Block",
    "Blocks",
    "Cost",
    "NasError",
    "NetworkCost",
    "architecture_from_json",
    "cost",
    "hookimpl",
    "load_blocks",
    "normalise",
    "odd",
    "read_architecture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
