"""`nas blocks`: what is registered."""

from __future__ import annotations

import click

from nas.blocks.registry import load_blocks
from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_rows
from nas.show.blocks import BLOCK_FIELDS, block_record, block_text
from nas.show.columns import BLOCKS


@click.command
@click.argument("name", required=False)
@format_option
@common
@click.pass_obj
def blocks(settings: Settings, name: str | None, form: str) -> None:
    """The block types that are registered, or NAME alone."""
    registered = load_blocks(settings.plugins)
    if name is not None and form == "table":
        click.echo(block_text(registered, name))
        return
    names = sorted(registered) if name is None else [name]
    print_rows(form, [block_record(registered, each) for each in names], BLOCKS, BLOCK_FIELDS)
