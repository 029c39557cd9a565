"""Two networks side by side: which layer stands against which, and the ratios of what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

COMPARED = ("params", "weights", "macs", "activations", "receptive_field", "auxiliary_params")

Record = Mapping[str, Any]


def compare(a: Record, b: Record) -> dict[str, Any]:
    """Of two records of cost: the totals of both, `ratio` (b / a, null where unknown), and `layers` in pairs.

    A pair has `a` and `b`, null where one network has no such layer, and `same`: alike in all but the name.
    """
    return {
        "a": _totals(a),
        "b": _totals(b),
        "ratio": {name: _ratio(a[name], b[name]) for name in COMPARED},
        "layers": [
            {"a": left, "b": right, "same": _same(left, right)} for left, right in pair(a["layers"], b["layers"])
        ],
    }


def pair(a: Sequence[Record], b: Sequence[Record]) -> list[tuple[Record | None, Record | None]]:
    """Layers of one kind against one another in order; what lies between in turn, as far as it goes."""
    pairs: list[tuple[Record | None, Record | None]] = []
    matcher = SequenceMatcher(None, [_kind(layer) for layer in a], [_kind(layer) for layer in b], autojunk=False)
    for _, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        pairs.extend(zip_longest(a[a_start:a_end], b[b_start:b_end]))
    return pairs


def _kind(layer: Record) -> tuple[str, str]:
    return layer["block"], layer["name"].partition(".")[2]


def _same(a: Record | None, b: Record | None) -> bool:
    if a is None or b is None:
        return False
    return {**a, "name": ""} == {**b, "name": ""}


def _totals(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "layers"}


def _ratio(a: int | None, b: int | None) -> float | None:
    return b / a if a and b is not None else None
