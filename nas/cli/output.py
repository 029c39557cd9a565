"""Printing records to standard output in the format asked for, and notes to standard error."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nas.show.formats import as_csv, as_json, flat
from nas.show.table import Column, table


def print_rows(form: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], header: Sequence[str]) -> None:
    """A list of records: a table of `columns`, a JSON list, or CSV under `header`; JSON has the header's fields."""
    if form == "json":
        click.echo(as_json([{name: row[name] for name in header if name in row} for row in rows]))
    elif form == "csv":
        click.echo(as_csv(rows, header))
    else:
        click.echo(table(rows, columns, width=terminal_width()))


def print_record(form: str, record: Mapping[str, Any], text: str) -> None:
    """One record: `text` for eyes, a JSON object, or one line of CSV with dotted names."""
    if form == "json":
        click.echo(as_json(record))
    elif form == "csv":
        line = flat(record)
        click.echo(as_csv([line], list(line)))
    else:
        click.echo(text)


def note(text: str) -> None:
    """A line on standard error."""
    click.echo(text, err=True)


def terminal_width() -> int | None:
    """The columns of the terminal; None where standard output is none, and nothing need be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
