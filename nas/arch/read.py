"""Reading an architecture file: plain data into parts, every mistake named with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.arch.layers import CLASSES, LAYERS, Rule, filled
from nas.arch.spec import FORMAT, Architecture, Auxiliary, BlockPart, Join, Layer, Part, settings, tidy
from nas.errors import ArchitectureError, nearest

MOST_PARTS = 20_000
DEEPEST_NESTING = 24
LARGEST = 1 << 20
"""The largest width, side of an image, kernel or count that a file may name."""
LARGEST_SETTING = 10**15
"""The largest number that a block's setting may have."""
LARGEST_FILE = 16 * 2**20
"""Bytes that a file may have: ten times what the most parts take."""

_HEAD = ("format", "input", "classes", "parts", "plugins", "name", "note", "source")


def read_architecture(path: Path) -> Architecture:
    """The architecture in a JSON file.

    Raises ArchitectureError where the file cannot be read or says what cannot be.
    """
    try:
        data = json.loads(_content(path).decode("utf-8"))
    except FileNotFoundError:
        raise ArchitectureError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ArchitectureError(f"{path}: not a JSON file: {error}") from None
    return architecture_from_json(data, str(path))


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE:,} bytes")
    return content


def architecture_from_json(data: Any, place: str = "architecture") -> Architecture:
    """The architecture of plain data, tidied; `place` opens every message."""
    head = _mapping(data, place, _HEAD)
    if head.get("format") != FORMAT:
        raise ArchitectureError(f"{place}: format: {head.get('format')!r} is not known; allowed: {FORMAT}")
    sizes = head.get("input")
    if not isinstance(sizes, list | tuple) or len(sizes) != 3:
        raise ArchitectureError(f"{place}: input: {sizes!r} is not [channels, height, width]")
    channels, height, width = (_count(size, f"{place}: input") for size in sizes)
    classes = _count(head.get("classes"), f"{place}: classes")
    parts = _Reader().parts(head.get("parts"), f"{place}: parts", 0)
    plugins = _mapping(head.get("plugins", {}), f"{place}: plugins", None)
    versions = tuple(sorted((str(name), str(version)) for name, version in plugins.items()))
    return Architecture((channels, height, width), classes, tidy(parts, classes), versions)


class _Reader:
    """Reads parts and keeps count of them, repeated ones and theirs too, so that no file asks for an absurd network."""

    def __init__(self) -> None:
        self.count = 0

    def parts(self, data: Any, place: str, depth: int) -> tuple[Part, ...]:
        if not isinstance(data, list | tuple):
            raise ArchitectureError(f"{place}: {_short(data)} is not a list of parts")
        if depth > DEEPEST_NESTING:
            raise ArchitectureError(f"{place}: nested deeper than {DEEPEST_NESTING}")
        return tuple(part for n, item in enumerate(data) for part in self.part(item, f"{place}[{n}]", depth))

    def part(self, data: Any, place: str, depth: int) -> list[Part]:
        fields = dict(_mapping(data, place, None))
        kinds = [kind for kind in ("layer", "block", "join", "auxiliary") if kind in fields]
        if len(kinds) != 1:
            raise ArchitectureError(f"{place}: a part has one of layer, block, join, auxiliary; got {sorted(fields)}")
        name = fields.pop("name", "")
        if not isinstance(name, str):
            raise ArchitectureError(f"{place}.name: {_short(name)} is not a text")
        repeat = _count(fields.pop("repeat", 1), f"{place}.repeat")
        self._counted(repeat, place)
        if kinds[0] == "layer":
            return [_layer(fields, place, name)] * repeat
        if kinds[0] == "block":
            return _blocks(fields, place, name, repeat)
        before = self.count
        one = self._join(fields, place, name, depth) if kinds[0] == "join" else self._head(fields, place, name, depth)
        self._counted((self.count - before) * (repeat - 1), place)
        return [one] * repeat

    def _counted(self, more: int, place: str) -> None:
        self.count += more
        if self.count > MOST_PARTS:
            raise ArchitectureError(f"{place}: more than {MOST_PARTS:,} parts")

    def _join(self, fields: dict[str, Any], place: str, name: str, depth: int) -> Part:
        _known(fields, ("join", "branches"), place)
        if fields["join"] not in ("add", "concat"):
            raise ArchitectureError(f"{place}.join: {fields['join']!r} is not allowed; allowed: add, concat")
        branches = fields.get("branches")
        if not isinstance(branches, list | tuple) or not branches:
            raise ArchitectureError(f"{place}.branches: {_short(branches)} is not a list of branches")
        read = (self.parts(branch, f"{place}.branches[{n}]", depth + 1) for n, branch in enumerate(branches))
        return Join(fields["join"], tuple(read), name)

    def _head(self, fields: dict[str, Any], place: str, name: str, depth: int) -> Part:
        _known(fields, ("auxiliary", "loss_weight"), place)
        if depth:
            raise ArchitectureError(f"{place}: an auxiliary head stands on the main path, not inside a branch")
        weight = fields.get("loss_weight", 0.3)
        if not _is_number(weight) or weight < 0:
            raise ArchitectureError(f"{place}.loss_weight: {_short(weight)} is not a number from 0")
        return Auxiliary(self.parts(fields["auxiliary"], f"{place}.auxiliary", depth + 1), float(weight), name)


def _layer(fields: dict[str, Any], place: str, name: str) -> Layer:
    kind = fields.pop("layer")
    if not isinstance(kind, str) or kind not in LAYERS:
        near, known = nearest(str(kind), LAYERS), ", ".join(LAYERS)
        raise ArchitectureError(f"{place}.layer: {_short(kind)} is not known{near}; allowed: {known}")
    rules = LAYERS[kind].rules
    _known(fields, tuple(rules), place)
    missing = [field for field, rule in rules.items() if rule.required and field not in fields]
    if missing:
        raise ArchitectureError(f"{place}: layer {kind!r} needs {', '.join(missing)}")
    values = {field: field_value(value, rules[field], f"{place}.{field}") for field, value in fields.items()}
    full = filled(kind, {field: values[field] for field in values if rules[field].required})
    return Layer(kind, settings({f: v for f, v in values.items() if rules[f].required or v != full[f]}), name)


def _blocks(fields: dict[str, Any], place: str, name: str, repeat: int) -> list[Part]:
    block = fields.pop("block")
    if not isinstance(block, str):
        raise ArchitectureError(f"{place}.block: {_short(block)} is not a name")
    if "width" not in fields:
        raise ArchitectureError(f"{place}: block {block!r} needs width")
    width = _width(fields.pop("width"), f"{place}.width")
    stride = _count(fields.pop("stride", 1), f"{place}.stride")
    for setting, value in fields.items():
        if not isinstance(value, str | bool) and not _is_number(value):
            raise ArchitectureError(f"{place}.{setting}: {_short(value)} is not a number, a text or true/false")
    values = settings({setting: _whole(value) for setting, value in fields.items()})
    first = BlockPart(block, width, stride, values, name)
    return [first, *[BlockPart(block, width, 1, values, name)] * (repeat - 1)]


def field_value(value: Any, rule: Rule, place: str) -> Any:
    """One field of a layer, checked by its rule."""
    if rule.kind == "width":
        return _width(value, place)
    if rule.kind == "count":
        return _count(value, place)
    if rule.kind == "flag":
        if not isinstance(value, bool):
            raise ArchitectureError(f"{place}: {_short(value)} is not true or false")
        return value
    if rule.kind == "number":
        if not _is_number(value) or value < rule.low:
            raise ArchitectureError(f"{place}: {_short(value)} is not a number from {rule.low:g}")
        return float(value)
    if isinstance(value, list | tuple) and len(value) == 2:
        first, second = (_count(one, place, int(rule.low)) for one in value)
        return first if first == second else (first, second)
    return _count(value, place, int(rule.low))


def _width(value: Any, place: str) -> int | str:
    return CLASSES if value == CLASSES else _count(value, place)


def _count(value: Any, place: str, low: int = 1) -> int:
    whole = _whole(value)
    if not isinstance(whole, int) or isinstance(whole, bool) or not low <= whole <= LARGEST:
        raise ArchitectureError(f"{place}: {_short(value)} is not a whole number from {low} to {LARGEST:,}")
    return whole


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(value: Any) -> bool:
    """A number that is neither NaN nor so large that nothing is built from it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_SETTING


def _mapping(data: Any, place: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ArchitectureError(f"{place}: {_short(data)} is not a table")
    if known is not None:
        _known(data, known, place)
    return data


def _known(fields: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in fields:
        if name not in known:
            hint = nearest(str(name), known)
            raise ArchitectureError(f"{place}.{name}: not known{hint}; allowed: {', '.join(known) or 'nothing'}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
