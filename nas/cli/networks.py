"""`nas show` and `nas diff`: architectures for eyes."""

from __future__ import annotations

import click

from nas.arch.record import Place
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost
from nas.cli.architectures import Found, find_architecture
from nas.cli.options import Settings, common, format_option
from nas.cli.output import note, print_rows, terminal_width
from nas.show.columns import LAYERS
from nas.show.compare import compare
from nas.show.cost import LAYER_FIELDS, network_record, part_records
from nas.show.formats import as_csv, as_json
from nas.show.network import PAIR_FIELDS, diff_text, missing, network_text, pair_rows
from nas.store.place import place_in_study, place_on_images


@click.command
@click.argument("arch")
@format_option
@common
@click.pass_obj
def show(settings: Settings, arch: str, form: str) -> None:
    """One architecture, layer by layer.

    ARCH: a fingerprint or its beginning, STUDY#TRIAL, a JSON file, or a reference's name.
    """
    blocks = load_blocks(settings.plugins)
    found = find_architecture(arch, settings, blocks)
    if form == "json":
        click.echo(as_json(found.architecture.to_json()))
        return
    absent = missing(found.architecture, blocks)
    record = None if absent else network_record(cost(found.architecture, blocks))
    if form == "csv":
        print_rows(form, record["layers"] if record else part_records(found.architecture), LAYERS, LAYER_FIELDS)
    else:
        ranks = _ranks(found)
        click.echo(network_text(found.architecture, record, found.trial, ranks, terminal_width()))
    if absent:
        note(f"without cost: {absent} not registered; its plugin is missing")


def _ranks(found: Found) -> tuple[Place, ...]:
    """Where the trial stands in its study and, if others are on the same images, among all of them."""
    if found.trial is None or found.storage is None:
        return ()
    places = (ask(found.storage, found.trial.id) for ask in (place_in_study, place_on_images))
    return tuple(dict.fromkeys(place for place in places if place is not None))


@click.command
@click.argument("a", metavar="ARCH")
@click.argument("b", metavar="ARCH")
@format_option
@common
@click.pass_obj
def diff(settings: Settings, a: str, b: str, form: str) -> None:
    """Two architectures side by side, with totals and ratios (second / first)."""
    blocks = load_blocks(settings.plugins)
    found = [find_architecture(name, settings, blocks).architecture for name in (a, b)]
    records = [{"architecture": one.fingerprint, **network_record(cost(one, blocks))} for one in found]
    compared = compare(*records)
    if form == "json":
        click.echo(as_json(compared))
    elif form == "csv":
        click.echo(as_csv(pair_rows(compared), PAIR_FIELDS))
    else:
        click.echo(diff_text(compared, terminal_width()))
