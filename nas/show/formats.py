"""Machine-readable text: JSON, and CSV with a header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any


def as_json(data: Any) -> str:
    """Indented JSON; NaN and infinity, which JSON has not, are refused."""
    return json.dumps(data, indent=2, allow_nan=False)


def as_csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> str:
    """A header line and a line a row; lists are joined by a space, None is empty, no line break at the end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(row.get(name)) for name in header] for row in rows)
    return text.getvalue().rstrip("\n")


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose inner tables are fields with dotted names, as a line of CSV needs it."""
    fields: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            fields.update({f"{name}.{inner}": one for inner, one in flat(value).items()})
        else:
            fields[name] = value
    return fields


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_cell(one).replace(' ', ',')}" for name, one in value.items())
    return " ".join(map(_cell, value)) if isinstance(value, list | tuple) else str(value)
