"""The types of the tables' columns: what comes out of SQLite is of its column's type, or it is told.

SQLite keeps any value in any column, so that a file which another program wrote, or damage, may hold a text where a
number belongs. Servers keep types themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import sqlalchemy

Processor = Callable[[Any], Any] | None


class Unreadable(ValueError):
    """A value that is not of its column's type."""


def refused(value: Any, wanted: str) -> Unreadable:
    """The error on a value where another kind belongs."""
    text = repr(value)
    return Unreadable(f"holds {text if len(text) <= 60 else f'{text[:57]}...'} where {wanted} belongs")


def _reader(dialect: sqlalchemy.Dialect, type: type | tuple[type, ...], wanted: str) -> Processor:
    """How a value that SQLite gives is looked at; None for the databases that have looked already."""
    if dialect.name != "sqlite":
        return None

    def read(value: Any) -> Any:
        if value is None or isinstance(value, type):
            return value
        raise refused(value, wanted)

    return read


class Integer(sqlalchemy.Integer):
    """A whole number."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        return _reader(dialect, int, "a whole number")


class BigInteger(sqlalchemy.BigInteger):
    """A whole number of up to 63 bits."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        return _reader(dialect, int, "a whole number")


class Text(sqlalchemy.Text):
    """A text."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        return _reader(dialect, str, "a text")


class Double(sqlalchemy.Double[float]):
    """A number, infinite ones among them: a loss may be."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        return _reader(dialect, (float, int), "a number")


class Finite(sqlalchemy.Double[float]):
    """A number that is not infinite."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        if dialect.name != "sqlite":
            return None

        def read(value: Any) -> Any:
            if value is None or (isinstance(value, float | int) and math.isfinite(value)):
                return value
            raise refused(value, "a number")

        return read


class LargeBinary(sqlalchemy.LargeBinary):
    """Bytes."""

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Processor:
        """How SQLite's value is looked at."""
        others: Processor = super().result_processor(dialect, coltype)  # type: ignore[no-untyped-call]
        return _reader(dialect, bytes, "bytes") or others


def from_json(text: Any) -> dict[str, Any] | list[Any]:
    """What a column of JSON holds, a table or a list; for SQLite's engines."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise refused(text, "JSON") from None
    if not isinstance(found, dict | list):
        raise refused(text, "a table or a list")
    return found


def table_in(value: Any) -> dict[str, Any]:
    """A column's JSON that is a table; raises Unreadable for a list."""
    if not isinstance(value, dict):
        raise refused(value, "a table")
    return value


def counts_in(value: Any) -> dict[str, int]:
    """A column's JSON that is a table of whole numbers; raises Unreadable for anything else."""
    if not all(type(one) is int for one in table_in(value).values()):
        raise refused(value, "a table of whole numbers")
    return dict(value)


def names_in(value: Any) -> tuple[str, ...]:
    """A column's JSON that is a list of texts; raises Unreadable for anything else."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise refused(value, "a list of names")
    return tuple(value)


def shape_in(value: Any) -> tuple[int, int, int]:
    """A column's JSON that is (C, H, W); raises Unreadable for anything else."""
    if not isinstance(value, list) or len(value) != 3 or not all(type(side) is int for side in value):
        raise refused(value, "[channels, height, width]")
    return (value[0], value[1], value[2])
