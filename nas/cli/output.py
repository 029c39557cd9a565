"""Printing records to standard output in the format asked for, and notes to standard error."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nas.show.formats import as_csv, as_json, flat
from nas.show.table import Column, table, told


def print_rows(form: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], header: Sequence[str]) -> None:
    """A list of records: a table of `columns`, a JSON list, or CSV under `header`; JSON has the header's fields."""
    click.echo(rows_text(form, rows, columns, header))


def rows_text(form: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], header: Sequence[str]) -> str:
    """What `print_rows` prints."""
    if form == "json":
        return as_json([{name: row[name] for name in header if name in row} for row in rows])
    if form == "csv":
        return as_csv(rows, header)
    return table(rows, columns, width=terminal_width())


def print_record(form: str, record: Mapping[str, Any], text: str) -> None:
    """One record: `text` for eyes, a JSON object, or one line of CSV with dotted names."""
    click.echo(record_text(form, record, text))


def record_text(form: str, record: Mapping[str, Any], text: str) -> str:
    """What `print_record` prints."""
    if form == "json":
        return as_json(record)
    if form == "csv":
        line = flat(record)
        return as_csv([line], list(line))
    return text


def note(text: str) -> None:
    """Lines on standard error, none too long to be read."""
    click.echo("\n".join(map(told, text.split("\n"))), err=True)


def terminal_width() -> int | None:
    """The columns of the terminal; None where standard output is none, and nothing need be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
