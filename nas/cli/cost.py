"""`nas cost` and `nas cost block`: exact cost, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from nas.arch.recipe import OPTIMIZERS
from nas.blocks.base import Block
from nas.blocks.registry import load_blocks
from nas.blocks.sweep import BYTES
from nas.blocks.trace import cost as network_cost
from nas.cli.architectures import find_architecture
from nas.cli.groups import DefaultGroup
from nas.cli.options import WHOLE, Settings, Size, common, format_option, set_option
from nas.cli.output import print_rows, terminal_width
from nas.errors import BlockError
from nas.net.memory import memory
from nas.show.columns import LAYERS
from nas.show.cost import LAYER_FIELDS, block_record, memory_text, network_record, part_settings
from nas.show.formats import as_json
from nas.show.network import layers_text, totals_text


@click.command("cost")
@click.argument("arch")
@click.option("--batch", metavar="N", type=WHOLE, help="The memory of training on so many images, too.")
@click.option("--precision", type=click.Choice(list(BYTES)), help="Its number format, fp32 unless given.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="Its optimizer, sgd unless given.")
@format_option
@common
@click.pass_obj
def network(
    settings: Settings, arch: str, batch: int | None, precision: str | None, optimizer: str | None, form: str
) -> None:
    """What a network costs. ARCH: a fingerprint or its beginning, STUDY#TRIAL, a JSON file, or a reference's name."""
    if batch is None and (precision or optimizer):
        raise click.UsageError("--precision and --optimizer are of the memory of a --batch N, which is not given")
    blocks = load_blocks(settings.plugins)
    architecture = find_architecture(arch, settings, blocks).architecture
    record = network_record(network_cost(architecture, blocks, proven=True))
    if batch is not None:
        how = {"precision": precision or "fp32", "optimizer": optimizer or "sgd"}
        record["memory"] = asdict(memory(architecture, blocks, batch=batch, **how))
    _print(form, record, part_settings(architecture))


cost = DefaultGroup(
    "cost",
    default=network,
    help="""What a network costs, exactly and layer by layer; nothing is trained.

    ARCH: a fingerprint or its beginning, STUDY#TRIAL, a JSON file, or a reference's name.""",
)


@cost.command("block", short_help="What one block costs.")
@click.argument("name")
@click.option("--in", "in_channels", metavar="C", type=WHOLE, required=True, help="Input channels.")
@click.option("--width", metavar="W", type=WHOLE, required=True, help="Output channels.")
@click.option("--size", metavar="SIZE", type=Size(), required=True, help="The map in pixels: 28, or 28x20 (H×W).")
@click.option("--stride", metavar="S", type=WHOLE, default=1, show_default=True, help="Its stride.")
@set_option("kernel=5")
@format_option
@common
@click.pass_obj
def block_cost(
    settings: Settings,
    name: str,
    in_channels: int,
    width: int,
    size: tuple[int, int],
    stride: int,
    overrides: Sequence[str],
    form: str,
) -> None:
    """What the block NAME costs; a choice that is not set has the first value that the block declares."""
    block = load_blocks(settings.plugins)[name]
    _print(form, block_record(block, (in_channels, *size), width, stride, block_settings(block, overrides)), {})


def block_settings(block: Block, overrides: Sequence[str], place: str = "--set") -> dict[str, Any]:
    """Choices and options as `--set`, or another place, gives them, each of a type that the block declares values of.

    Raises BlockError for what is not key=value, or of another type. Whether the block has such a key is not asked.
    """
    declared = {**block.choices, **{name: (default,) for name, default in block.options.items()}}
    given: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not name or not text:
            raise BlockError(f"{place} {override!r}: not of the form key=value; allowed: as kernel=5")
        kinds = {type(value) for value in declared.get(name, (text,))}
        given[name] = text if kinds == {str} else _value(text)
        if name in declared and type(given[name]) not in kinds:
            raise BlockError(f"{place} {override!r}: {name} of block {block.name!r} takes {_words(kinds)}")
    return given


def _value(text: str) -> Any:
    """A whole number, a number, true or false, else the text."""
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _words(kinds: set[type]) -> str:
    words = {int: "whole numbers", float: "numbers such as 0.5", bool: "true or false", str: "a text"}
    return " or ".join(words[kind] for kind in words if kind in kinds)


def _print(form: str, record: Mapping[str, Any], settings: Mapping[str, str]) -> None:
    if form == "json":
        click.echo(as_json(record))
    elif form == "csv":
        print_rows(form, record["layers"], LAYERS, LAYER_FIELDS)
    else:
        click.echo(f"{layers_text(record['layers'], settings, terminal_width())}\n\n{totals_text(record)}")
        if "memory" in record:
            click.echo(f"\n{memory_text(record['memory'])}")
