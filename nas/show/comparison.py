"""Block types side by side: the rows of a comparison as records, as a table, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nas.arch.record import Value
from nas.blocks.sweep import ComparedBlock
from nas.show.plot import Bars, Line, Panel, bars, lines, write
from nas.show.table import Column, count, plain, table
from nas.show.units import COUNT, MEMORY, PIXELS, Unit, memory

_NAMES = tuple(field.name for field in fields(ComparedBlock) if field.name != "swept")

_AXES = {
    "channels": "channels, in and out",
    "in": "channels in",
    "width": "channels out",
    "size": "side of the map, pixels",
    "stride": "stride, pixels",
    "kernel": "kernel, pixels",
}

_NOTE = (
    "lighter, fewer macs: how many times, against the plain convolution of the same kernel (k×k),\n"
    "and against the plain one with the same receptive field (field)"
)


def comparison_fields(rows: Sequence[ComparedBlock]) -> tuple[str, ...]:
    """The fields of the records: `block`, what is swept, then the others."""
    added = [name for name in (rows[0].swept if rows else ()) if name not in _NAMES]
    return ("block", *added, *_NAMES[1:])


def comparison_records(rows: Sequence[ComparedBlock]) -> list[dict[str, Any]]:
    """The rows as plain data, shapes as [C, H, W]; a swept value that is no field yet becomes one."""
    records = [{**asdict(row), **row.swept, "error": row.error or None} for row in rows]
    names = comparison_fields(rows)
    return [{name: _json(record[name]) for name in names} for record in records]


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _bytes(value: int | None) -> str:
    return "" if value is None else memory(value)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


_COSTS = (
    *(Column(name, name, count, right=True) for name in ("weights", "params", "macs", "activations")),
    Column("receptive_field", "field", count, right=True),
    Column("times_lighter", "lighter k×k", _ratio, right=True),
    Column("times_fewer_macs", "fewer macs k×k", _ratio, right=True),
    Column("times_lighter_by_field", "lighter field", _ratio, right=True),
    Column("times_fewer_macs_by_field", "fewer macs field", _ratio, right=True),
    Column("weight_bytes", "weights in", _bytes, right=True),
    Column("activation_bytes", "activations in", _bytes, right=True),
)


def comparison_text(rows: Sequence[ComparedBlock], width: int | None = None) -> str:
    """The table of those that can be built, and beneath it why the others cannot."""
    swept = [Column(name, name, plain, right=True) for name in rows[0].swept]
    built = [{**asdict(row), **row.swept} for row in rows if not row.error]
    parts = [table(built, [Column("block", "block"), *swept, *_COSTS], width=width), _NOTE]
    failed = [f"{_label(row.block, row.swept)}: {row.error}" for row in rows if row.error]
    return "\n\n".join([*parts, *(["not built:\n" + "\n".join(failed)] if failed else [])])


def _label(block: str, swept: Mapping[str, Value]) -> str:
    return ", ".join([block, *(f"{name} {value}" for name, value in swept.items())])


def draw_comparison(rows: Sequence[ComparedBlock], path: Path | str) -> None:
    """Draw the rows of `compare_blocks` into an .svg, .png or .pdf: lines over what was swept, bars where nothing was.

    The first of several swept quantities lies along the axis. Raises ExportError where the file cannot be written.
    """
    write(comparison_figure(rows), Path(path))


def comparison_figure(rows: Sequence[ComparedBlock]) -> Figure:
    """The picture: weights, multiply-adds, the activations' memory and the receptive field."""
    built = [row for row in rows if not row.error]
    if not built[0].swept:
        panels = [Bars(y, [getattr(row, name) for row in built], unit) for name, y, unit in _panels(built[0])]
        return bars([row.block for row in built], panels, title=_title(built))
    axis = next(iter(built[0].swept))
    ticks = _ticks(rows, axis)
    return lines([_panel(built, ticks, axis, *one) for one in _panels(built[0])], title=_title(built))


def _panels(row: ComparedBlock) -> list[tuple[str, str, Unit]]:
    """Field, quantity with unit as its axis names it, and how a value is written."""
    batch = "" if row.batch == 1 else f" of {row.batch} samples"
    return [
        ("weights", "weights", COUNT),
        ("macs", "multiply-adds", COUNT),
        ("activation_bytes", f"activations{batch} in {row.precision}, bytes", MEMORY),
        ("receptive_field", "receptive field, pixels", PIXELS),
    ]


def _ticks(rows: Sequence[ComparedBlock], axis: str) -> dict[Value, float]:
    """Where each swept value stands: numbers at themselves, texts one after another."""
    values = dict.fromkeys(row.swept[axis] for row in rows)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return {value: float(value) if numbers else float(place) for place, value in enumerate(values)}


def _panel(
    rows: Sequence[ComparedBlock],
    ticks: Mapping[Value, float],
    axis: str,
    name: str,
    y: str,
    unit: Unit,
) -> Panel:
    drawn = []
    names = list(dict.fromkeys(row.block for row in rows))
    others = list(dict.fromkeys(tuple(_others(row, axis).items()) for row in rows))
    for (colour, block), (dash, other) in product(enumerate(names), enumerate(others)):
        own = [row for row in rows if row.block == block and tuple(_others(row, axis).items()) == other]
        points = [(ticks[row.swept[axis]], getattr(row, name)) for row in own if getattr(row, name) is not None]
        drawn.append(Line(_label(block, dict(other)), sorted(points), dash if len(names) == 1 else colour, dash))
    return Panel(_AXES.get(axis, axis), y, drawn, list(ticks.values()), [str(value) for value in ticks], unit)


def _others(row: ComparedBlock, axis: str) -> dict[str, Value]:
    return {name: value for name, value in row.swept.items() if name != axis}


def _title(rows: Sequence[ComparedBlock]) -> str:
    """What all rows have in common: `256 → 256 channels, 28×28 pixels, stride 1`."""
    first, swept = rows[0], rows[0].swept
    told = []
    if "channels" not in swept:
        into, out = ("…" if name in swept else str(value) for name, value in _channels(first).items())
        told.append(f"{into} → {out} channels")
    if "size" not in swept:
        told.append(f"{first.input[1]}×{first.input[2]} pixels")
    if "stride" not in swept:
        told.append(f"stride {first.stride}")
    return ", ".join(told)


def _channels(row: ComparedBlock) -> dict[str, int]:
    return {"in": row.input[0], "width": row.width}
