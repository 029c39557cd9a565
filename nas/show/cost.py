"""What a network or a block costs, as plain records: one for the whole and one a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nas.arch.cost import Cost, Shape
from nas.arch.layers import CLASSES
from nas.arch.record import Value
from nas.arch.spec import Architecture, BlockPart, Layer, settings, walk
from nas.blocks.base import Block
from nas.blocks.costing import block_field, block_layers, full_settings
from nas.blocks.trace import LayerCost, NetworkCost
from nas.blocks.verify import prove
from nas.show.table import Column, count, table

LAYER_FIELDS = (
    "name",
    "block",
    "input",
    "output",
    "params",
    "weights",
    "macs",
    "activations",
    "receptive_field",
)
"""The fields of a layer, shapes as [C, H, W]; `auxiliary` is added where a layer is of a head for training alone."""

_SUMMED = ("params", "weights", "macs", "activations")


def network_record(cost: NetworkCost) -> dict[str, Any]:
    """The cost of a network: totals and `layers`."""
    names = ("input", "output", *_SUMMED, "receptive_field", "auxiliary_params")
    totals = {name: _json(getattr(cost, name)) for name in names}
    return totals | {"layers": [layer_record(layer) for layer in cost.layers]}


def layer_record(layer: LayerCost) -> dict[str, Any]:
    """One layer."""
    fields = {name: _json(value) for name, value in asdict(layer).items() if name in LAYER_FIELDS}
    return fields | ({"auxiliary": True} if layer.auxiliary else {})


def block_record(
    block: Block, input: Shape, width: int, stride: int = 1, given: Mapping[str, Value] | None = None
) -> dict[str, Any]:
    """The cost of one block on a map (C, H, W); a choice not given has the first value that the block declares.

    Raises BlockError: a setting that the block has not, or values that it cannot build.
    """
    firsts = {name: next(iter(values)) for name, values in block.choices.items()}
    full = full_settings(block, {**firsts, **(given or {})})
    layers = block_layers(block, input, width, stride, settings(full))
    prove(block, input, width, stride, settings(full))
    output = (width, -(-input[1] // stride), -(-input[2] // stride))
    total = {name: sum(getattr(layer, name) for layer in layers) for name in _SUMMED}
    return {
        "input": list(input),
        "output": list(output),
        **total,
        "receptive_field": block_field(layers),
        "auxiliary_params": 0,
        "layers": [_block_layer(block.name, layer, input, output) for layer in layers],
    }


def _block_layer(block: str, layer: Cost, input: Shape, output: Shape) -> dict[str, Any]:
    shapes = {"input": list(layer.input or input), "output": list(layer.output or output)}
    numbers = {name: getattr(layer, name) for name in (*_SUMMED, "receptive_field")}
    return {"name": layer.name or block, "block": block, **shapes, **numbers}


def memory_text(record: Mapping[str, Any]) -> str:
    """The memory of a network, a number a line in MiB (2^20 bytes) and in bytes."""
    rows = [{"name": name.removesuffix("_bytes").replace("_", " "), "bytes": record[name]} for name in _bytes(record)]
    title = f"memory, batch {record['batch']:,}, {record['precision']}, {record['optimizer']}"
    return table(
        [{**row, "MiB": row["bytes"] / 2**20} for row in rows],
        [Column("name", title), Column("MiB", "MiB", "{:,.2f}".format, True), Column("bytes", "bytes", count, True)],
    )


def _bytes(record: Mapping[str, Any]) -> list[str]:
    return [name for name in record if name.endswith("_bytes")]


def part_records(architecture: Architecture) -> list[dict[str, Any]]:
    """The parts in the order of the layers, with no cost: for networks whose plugin is gone."""
    empty = dict.fromkeys(LAYER_FIELDS)
    return [
        {**empty, "name": name, "block": part.block if isinstance(part, BlockPart) else part.kind}
        for name, part in _named(architecture)
    ]


def part_settings(architecture: Architecture) -> dict[str, str]:
    """The settings of each part by its name in a table of layers: `16, kernel 3`."""
    return {name: _settings(part, architecture.classes) for name, part in _named(architecture)}


def _named(architecture: Architecture) -> list[tuple[str, Layer | BlockPart]]:
    """Parts under the names that the walk over the network gives them: kind and number, unless they have one."""
    counts: dict[str, int] = {}
    named = []
    for part in walk(architecture.parts):
        if not isinstance(part, Layer | BlockPart):
            continue
        kind = part.block if isinstance(part, BlockPart) else part.kind
        if not part.name:
            counts[kind] = counts.get(kind, 0) + 1
        named.append((part.name or f"{kind}{counts[kind]}", part))
    return named


def _settings(part: Layer | BlockPart, classes: int) -> str:
    if isinstance(part, Layer):
        values = dict(part.fields)
        width = values.pop("width", None)
    else:
        width = part.width
        values = {**({"stride": part.stride} if part.stride != 1 else {}), **dict(part.settings)}
    first = [] if width is None else [str(classes if width == CLASSES else width)]
    return ", ".join([*first, *(f"{name} {_short(value)}" for name, value in values.items())])


def _short(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
