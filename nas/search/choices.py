"""What trials chose, side by side as columns; a choice that exists under others alone is absent elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.arch.record import Value

Floats = NDArray[np.float64]

BLOCK, KERNEL, DEPTH, STAGES = "block", "kernel", "depth", "stages"

_NAME = re.compile(r"(stem|stage\d+(?:\.\d+)?)\.(?:(depth|width|block|kernel)|(\w+)\.(\w+))")


class Choice(NamedTuple):
    """A choice at one place of a network: `stem`, `stage2`, `stage2.1` where blocks are mixed, or "" for the whole.

    `kind` is what is chosen: `block`, `kernel`, `width`, `depth`, `stages`, `stem.kernel`, `stem.width`, or what one
    block type alone has, as `stacked.layers`. Kernels are of one kind, whatever block they are of.
    """

    place: str
    kind: str


Chosen = Mapping[Choice, Value]


def chosen(params: Mapping[str, Value], blocks: Sequence[str]) -> dict[Choice, Value]:
    """The params of a trial by place and kind; a block by its name, of which the params hold the place in `blocks`."""
    found: dict[Choice, Value] = {}
    for name, value in params.items():
        choice = _choice(name)
        if choice.kind == BLOCK and isinstance(value, int) and 0 <= value < len(blocks):
            value = blocks[value]
        found[choice] = value
    return found


def _choice(name: str) -> Choice:
    match = _NAME.fullmatch(name)
    if match is None:
        return Choice("", name)
    place, own, block, inner = match.groups()
    if place == "stem":
        return Choice(place, name)
    if own is not None:
        return Choice(place, own)
    return Choice(place, KERNEL if inner == KERNEL else f"{block}.{inner}")


def stage_blocks(found: Chosen) -> dict[str, int]:
    """How many blocks of each type a network's stages have; the stem is none of them."""
    counted: dict[str, int] = {}
    for (place, kind), value in found.items():
        if kind == BLOCK:
            depth = found.get(Choice(place, DEPTH), 1)
            counted[str(value)] = counted.get(str(value), 0) + int(depth)
    return counted


class ChoiceTable:
    """The choices of N networks as C columns of codes, NaN where a network has no such choice; only those that vary.

    A number is its own code; of other values it is the place in `values[kind]`.
    """

    def __init__(self, rows: Sequence[Chosen]) -> None:
        self.rows = rows
        found: dict[Choice, set[Value]] = {}
        for row in rows:
            for choice, value in row.items():
                found.setdefault(choice, set()).add(value)
        self.columns = [choice for choice, values in found.items() if len(values) > 1]
        self.kinds = list(dict.fromkeys(choice.kind for choice in self.columns))
        self.values = {
            kind: _sorted({v for one in found if one.kind == kind for v in found[one]}) for kind in self.kinds
        }
        self.codes = np.array([[self._code(row, choice) for choice in self.columns] for row in rows], dtype=np.float64)
        self.codes = self.codes.reshape(len(rows), len(self.columns))

    def is_ordered(self, kind: str) -> bool:
        """Whether the values of a kind are numbers."""
        return all(_is_number(value) for value in self.values[kind])

    def _code(self, row: Chosen, choice: Choice) -> float:
        if choice not in row:
            return float("nan")
        value = row[choice]
        return float(value) if self.is_ordered(choice.kind) else float(self.values[choice.kind].index(value))

    def places(self, kind: str) -> list[int]:
        """The columns of a kind."""
        return [number for number, choice in enumerate(self.columns) if choice.kind == kind]

    def encoded(self, codes: Floats) -> Floats:
        """(N, C) codes -> (N, D) numbers for a model: each choice, and for each kind its mean over the network.

        Of values that are no numbers: whether it is this one, and the share of it.
        """
        features = [self._features(codes[:, self.places(kind)], kind) for kind in self.kinds]
        return np.hstack([np.zeros((len(codes), 0)), *features])

    def _features(self, codes: Floats, kind: str) -> Floats:
        there = ~np.isnan(codes)
        if self.is_ordered(kind):
            absent = min(float(value) for value in self.values[kind]) - 1
            return _with_mean(np.where(there, codes, absent), there, absent)
        shares = [_with_mean((codes == code).astype(np.float64), there, 0.0) for code in range(len(self.values[kind]))]
        return np.hstack(shares)

    def brought(self, head: int) -> list[int]:
        """A column, and those whose choices exist or not by what is chosen there: they are replaced together."""
        choice = self.columns[head]
        return [head, *(other for other in range(len(self.columns)) if other != head and self._under(other, choice))]

    def _under(self, other: int, head: Choice) -> bool:
        place, kind = self.columns[other]
        with_head = [row for row in self.rows if head in row]
        if head.kind == STAGES and place.startswith("stage"):
            return any(not _has_place(row, place.split(".")[0]) for row in with_head)
        if head.kind == DEPTH and place.startswith(f"{head.place}."):
            return any(not _has_place(row, place) for row in with_head)
        if head.kind == BLOCK and place == head.place:
            return any(Choice(place, kind) not in row for row in with_head)
        return False


def _with_mean(values: Floats, there: NDArray[np.bool_], absent: float) -> Floats:
    """The columns, and the mean of those that are there."""
    if values.shape[1] == 1:
        return values
    counts = there.sum(axis=1)
    sums = np.where(there, values, 0.0).sum(axis=1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), absent)
    return np.column_stack([values, means])


def _has_place(row: Chosen, place: str) -> bool:
    return any(choice.place == place or choice.place.startswith(f"{place}.") for choice in row)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sorted(values: set[Value]) -> list[Value]:
    """Numbers by size, other values as they are written."""
    if all(_is_number(value) for value in values):
        return sorted(values, key=float)
    return sorted(values, key=str)
