"""`nas data`: the data sets that are known."""

from __future__ import annotations

from dataclasses import asdict, fields

import click

from nas.cli.options import common, format_option
from nas.cli.output import print_rows
from nas.data.names import DATASETS, KnownDataset
from nas.show.table import Column

FIELDS = [field.name for field in fields(KnownDataset)]
COLUMNS = [Column(name, {"name": "data set", "summary": "what and where"}.get(name, name)) for name in FIELDS]


@click.command
@format_option
@common
def data(form: str) -> None:
    """The data sets that a study may name, and where they lie; beside them it may give a path."""
    print_rows(form, [asdict(dataset) for dataset in DATASETS], COLUMNS, FIELDS)
