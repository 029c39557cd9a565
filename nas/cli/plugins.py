"""`nas plugins`: list them, make one, check one."""

from __future__ import annotations

from pathlib import Path

import click

from nas.blocks.registry import load_blocks
from nas.blocks.verify import quick_check
from nas.cli.conformance import CHECK_FIELDS, CHECKS, blocks_called, check_records, verdict
from nas.cli.groups import DefaultGroup
from nas.cli.options import Settings, common, format_option
from nas.cli.output import note, print_rows
from nas.cli.scaffold import make_plugin
from nas.show.blocks import PLUGIN_FIELDS, plugin_records
from nas.show.columns import PLUGINS


@click.command("plugins")
@format_option
@common
@click.pass_obj
def listing(settings: Settings, form: str) -> None:
    """The plugins: what each brings, or why it could not be loaded or is not to be trusted."""
    blocks = load_blocks(settings.plugins)
    print_rows(form, plugin_records(blocks, quick_check(blocks)), PLUGINS, PLUGIN_FIELDS)


plugins = DefaultGroup("plugins", default=listing, help=listing.help)


@plugins.command("new", short_help="Make a plugin from a template.")
@click.argument("name")
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), default=Path(), help="Where; here.")
@common
@click.pass_obj
def new(settings: Settings, name: str, output: Path) -> None:
    """Make the folder nas-NAME: a distribution with a block NAME that works, its tests, and its entry point."""
    folder = make_plugin(name, output, load_blocks(settings.plugins))
    click.echo(str(folder))
    note(f"next: `nas plugins check {folder}`; `pip install -e {folder}` makes {name!r} known to every command")


@plugins.command("check", short_help="Run the conformance kit on a block or plugin.")
@click.argument("target", metavar="NAME_OR_PATH")
@format_option
@common
@click.pass_obj
def check(settings: Settings, target: str, form: str) -> None:
    """Try a block, all blocks of a plugin, or those of a .py file or folder; exit 1 where a check failed."""
    blocks = blocks_called(target, load_blocks(settings.plugins))
    records = check_records(blocks)
    print_rows(form, records, CHECKS, CHECK_FIELDS)
    verdict(records)
