"""`nas references`: the networks that are known by name."""

from __future__ import annotations

import click

from nas.arch.reference import references as names
from nas.blocks.registry import load_blocks
from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_rows
from nas.show.columns import REFERENCES
from nas.show.references import REFERENCE_FIELDS, reference_record


@click.command
@format_option
@common
@click.pass_obj
def references(settings: Settings, form: str) -> None:
    """The reference networks with their cost; their names stand wherever ARCH does."""
    blocks = load_blocks(settings.plugins)
    print_rows(form, [reference_record(name, blocks) for name in names()], REFERENCES, REFERENCE_FIELDS)
