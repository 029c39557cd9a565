"""`nas db`: the storage's schema."""

from __future__ import annotations

import click

from nas.cli.options import Settings, common
from nas.cli.output import note
from nas.store.schema import upgrade as upgrade_schema


@click.group
def db() -> None:
    """The storage's schema."""


@db.command
@common
@click.pass_obj
def upgrade(settings: Settings) -> None:
    """Bring an existing database to this version's schema; its studies stay."""
    before, after = upgrade_schema(settings.storage)
    note(f"schema {after}: up to date" if before == after else f"schema {before or 'none'} -> {after}")
