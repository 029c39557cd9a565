"""Rows from elsewhere held against the tables: every value of its column's type, before it is put anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Boolean, Table

from nas.store.kinds import BigInteger, Double, Finite, Integer, LargeBinary, Text

_WHOLE = {Integer: 2**31 - 1, BigInteger: 2**63 - 1}


def check_row(table: Table, row: Mapping[str, Any]) -> None:
    """Raise ValueError, naming table, column and value, where a value is not of its column's type."""
    for column in table.columns:
        value = row[column.name]
        kind = type(column.type) if not column.foreign_keys else type(next(iter(column.foreign_keys)).column.type)
        if not (column.nullable if value is None else _is(kind, value)):
            text = repr(value)
            raise ValueError(f"{table.name}.{column.name} is {text if len(text) <= 60 else f'{text[:57]}...'}")


def _is(kind: type, value: Any) -> bool:
    if kind in _WHOLE:
        return type(value) is int and abs(value) <= _WHOLE[kind]
    if kind is Boolean:
        return type(value) is bool
    if kind in (Double, Finite):
        return type(value) in (int, float) and not math.isinf(value)
    if kind is LargeBinary:
        return isinstance(value, bytes)
    if kind is Text:
        return isinstance(value, str) and "\x00" not in value
    return kind is JSON and isinstance(value, dict | list)
