"""`nas data`: the data sets that are known, and fetching one."""

from __future__ import annotations

from dataclasses import asdict, fields

import click

from nas.cli.groups import DefaultGroup
from nas.cli.options import common, format_option
from nas.cli.output import note, print_rows
from nas.data.fetch import fetch
from nas.data.names import KnownDataset, datasets
from nas.data.places import find
from nas.show.table import Column

FIELDS = [field.name for field in fields(KnownDataset)]
COLUMNS = [Column(name, {"name": "data set", "summary": "what it is"}.get(name, name)) for name in FIELDS]


@click.command("data")
@format_option
@common
def listing(form: str) -> None:
    """The data sets that a study may name, and where they lie; beside them it may give a path."""
    print_rows(form, [asdict(dataset) for dataset in datasets()], COLUMNS, FIELDS)


data = DefaultGroup("data", default=listing, help=listing.help)


@data.command("fetch", short_help="Download a data set.")
@click.argument("name")
@common
def fetch_command(name: str) -> None:
    """Download a data set into the user's cache folder, checked by its SHA-256; print where it lies."""
    path = fetch(name, say=note)
    click.echo(str(path))
    place = find(name)
    if place is not None and place.path != path:
        note(f"another one goes before it: {place.path}")
