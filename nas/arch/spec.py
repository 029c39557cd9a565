"""An architecture: a frozen sequence of parts, its JSON, and the fingerprint of that JSON.

A part is a layer, a block, branches joined by `add` or `concat` (nested), or an auxiliary head. What is made here is
free of layer defaults, repeats and needless nesting; `nas.blocks.trace.normalise` also drops what a block's own
options default to, so that two spellings of one network have one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas.arch.layers import CLASSES, filled
from nas.arch.record import Value

FORMAT = 1

Settings = tuple[tuple[str, Any], ...]
"""(name, value) pairs sorted by name."""

Width = int | str
"""Output channels, or "classes"."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A plain layer; `fields` holds only what differs from the kind's defaults."""

    kind: str
    fields: Settings = ()
    name: str = field(default="", compare=False)

    @property
    def full(self) -> dict[str, Any]:
        """All fields, defaults filled in."""
        return filled(self.kind, dict(self.fields))


@dataclass(frozen=True, slots=True)
class BlockPart:
    """A block of a plugin with its width, stride and settings (choices, and options that are not at default)."""

    block: str
    width: Width
    stride: int = 1
    settings: tuple[tuple[str, Value], ...] = ()
    name: str = field(default="", compare=False)
    kinds: tuple[type, ...] = field(init=False, repr=False, compare=False)
    """The types of the settings' values: 1 and True are equal, and yet not one setting."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple([type(value) for _, value in self.settings]))


@dataclass(frozen=True, slots=True)
class Join:
    """Branches from one map, joined by `add` or `concat`; an empty branch is the identity."""

    kind: str
    branches: tuple[tuple[Part, ...], ...]
    name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A head on the map at this place that exists for training alone; its loss counts `loss_weight`."""

    parts: tuple[Part, ...]
    loss_weight: float = 0.3
    name: str = field(default="", compare=False)


Part = Layer | BlockPart | Join | Auxiliary


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network as data: `input` (C, H, W), `classes`, and the parts from image to class scores.

    `plugins` says which plugin and version each block came from; it stands beside and is no part of the fingerprint.
    """

    input: tuple[int, int, int]
    classes: int
    parts: tuple[Part, ...]
    plugins: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def fingerprint(self) -> str:
        """The hash of the canonical JSON: 32 hexadecimal digits."""
        head = {"format": FORMAT, "input": list(self.input), "classes": self.classes}
        return _digest({**head, "parts": _parts_json(self.parts, names=False)})

    @property
    def body(self) -> str:
        """The same hash without input and classes, by which studies on different data sets meet."""
        return _digest({"format": FORMAT, "parts": _parts_json(self.parts, names=False)})

    @property
    def blocks(self) -> tuple[str, ...]:
        """The block types it uses, in order of first appearance, nested ones included."""
        return tuple(dict.fromkeys(part.block for part in walk(self.parts) if isinstance(part, BlockPart)))

    def to_json(self) -> dict[str, Any]:
        """The architecture file as plain data."""
        data: dict[str, Any] = {"format": FORMAT, "input": list(self.input), "classes": self.classes}
        data["parts"] = _parts_json(self.parts, names=True)
        if self.plugins:
            data["plugins"] = dict(self.plugins)
        return data


def walk(parts: tuple[Part, ...]) -> list[Part]:
    """Every part in order, those inside branches and auxiliary heads included."""
    found: list[Part] = []
    for part in parts:
        found.append(part)
        if isinstance(part, Join):
            for branch in part.branches:
                found.extend(walk(branch))
        elif isinstance(part, Auxiliary):
            found.extend(walk(part.parts))
    return found


def tidy(parts: tuple[Part, ...], classes: int) -> tuple[Part, ...]:
    """The normal form: a join of one branch dissolved, like joins merged, the last width called "classes"."""
    return _name_classes(_dissolve(parts, classes), classes)


def _dissolve(parts: tuple[Part, ...], classes: int) -> tuple[Part, ...]:
    flat: list[Part] = []
    for part in parts:
        if isinstance(part, Join):
            branches = _merge(part.kind, tuple(_dissolve(branch, classes) for branch in part.branches))
            if len(branches) == 1:
                flat.extend(branches[0])
            else:
                flat.append(replace(part, branches=branches))
        elif isinstance(part, Auxiliary):
            flat.append(replace(part, parts=tidy(part.parts, classes)))
        else:
            flat.append(part)
    return tuple(flat)


def _merge(kind: str, branches: tuple[tuple[Part, ...], ...]) -> tuple[tuple[Part, ...], ...]:
    """Splice a branch that is itself only a join of the same kind; sums are written in one order."""
    merged: list[tuple[Part, ...]] = []
    for branch in branches:
        only = branch[0] if len(branch) == 1 else None
        if isinstance(only, Join) and only.kind == kind:
            merged.extend(only.branches)
        else:
            merged.append(branch)
    if kind == "add":
        merged.sort(key=lambda branch: canonical(_parts_json(branch, names=False)))
    return tuple(merged)


def _name_classes(parts: tuple[Part, ...], classes: int) -> tuple[Part, ...]:
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, Join):
            return parts
        named: Part | None = None
        if isinstance(part, BlockPart) and part.width == classes:
            named = replace(part, width=CLASSES)
        elif isinstance(part, Layer) and dict(part.fields).get("width") == classes:
            named = replace(part, fields=settings({**dict(part.fields), "width": CLASSES}))
        if named is not None:
            return (*parts[:index], named, *parts[index + 1 :])
        if isinstance(part, BlockPart) or (isinstance(part, Layer) and "width" in dict(part.fields)):
            return parts
    return parts


def settings(values: Mapping[str, Any]) -> Settings:
    """A mapping as sorted pairs."""
    return tuple(sorted(values.items()))


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces: the same text for the same data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(text: str) -> str:
    """SHA-256 of a text, its first 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digest(data: Any) -> str:
    return digest(canonical(data))


def _parts_json(parts: tuple[Part, ...], *, names: bool) -> list[dict[str, Any]]:
    return [_part_json(part, names) for part in parts]


def _part_json(part: Part, names: bool) -> dict[str, Any]:
    data: dict[str, Any]
    if isinstance(part, Layer):
        data = {"layer": part.kind, **{name: _plain(value) for name, value in part.fields}}
    elif isinstance(part, BlockPart):
        data = {"block": part.block, "width": part.width}
        if part.stride != 1:
            data["stride"] = part.stride
        data.update(part.settings)
    elif isinstance(part, Join):
        data = {"join": part.kind, "branches": [_parts_json(branch, names=names) for branch in part.branches]}
    else:
        data = {"auxiliary": _parts_json(part.parts, names=names), "loss_weight": part.loss_weight}
    if names and part.name:
        data["name"] = part.name
    return data


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
