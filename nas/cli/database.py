"""`nas db`: the storage as a whole: its schema, and its studies on the way to another."""

from __future__ import annotations

import click

from nas.cli.groups import LazyGroup, Place
from nas.cli.options import Settings, common
from nas.cli.output import note
from nas.store.schema import upgrade as upgrade_schema

COMMANDS = {
    "upgrade": Place("nas.cli.database", "upgrade", "Bring an existing database to this version's schema."),
    "merge": Place("nas.cli.moving", "merge", "Copy all studies of one storage into another."),
    "export": Place("nas.cli.moving", "export", "Write a study as one file, to be imported elsewhere."),
    "import": Place("nas.cli.moving", "import_bundle", "Add the study of such a file to the storage."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def db() -> None:
    """The storage's schema, and studies moved between storages."""


@click.command
@common
@click.pass_obj
def upgrade(settings: Settings) -> None:
    """Bring an existing database to this version's schema; its studies stay."""
    before, after = upgrade_schema(settings.storage)
    note(f"schema {after}: up to date" if before == after else f"schema {before or 'none'} -> {after}")
