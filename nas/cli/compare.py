"""`nas compare`: block types side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from nas.arch.record import Value
from nas.blocks.registry import Blocks, load_blocks
from nas.blocks.sweep import BYTES, MEASURES, BlockVariant, compare_blocks
from nas.cli.cost import block_settings
from nas.cli.options import WHOLE, Settings, Size, common, format_option, set_option
from nas.cli.output import note, print_rows, terminal_width
from nas.errors import BlockError
from nas.show.comparison import comparison_fields, comparison_records, comparison_text, draw_comparison

_ANOTHER = re.compile(r",(?=\s*\w+\s*=)")
"""A comma before another key=value; those inside a value, as in `branches=64,96:128,16:32,32`, part nothing."""


@click.command
@click.argument("variants", metavar="[BLOCK[:SETTING=VALUE,…]]...", nargs=-1)
@click.option("--in", "in_channels", metavar="C", type=WHOLE, default=256, help="Input channels; 256.")
@click.option("--width", metavar="W", type=WHOLE, default=256, help="Output channels; 256.")
@click.option("--size", metavar="SIZE", type=Size(), default="28", help="The map in pixels: 28 (default), or 28x20.")
@click.option("--stride", metavar="S", type=WHOLE, default=1, show_default=True, help="Their stride.")
@click.option(
    "--sweep", "sweeps", metavar="NAME=V,V,…", multiple=True, help=f"Over {', '.join(MEASURES)} or a setting."
)
@click.option("--precision", type=click.Choice(list(BYTES)), default="fp32", show_default=True, help="For the memory.")
@click.option("--batch", metavar="N", type=WHOLE, default=1, show_default=True, help="For the memory.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="A picture: .svg, .png, .pdf.")
@set_option("kernel=5")
@format_option
@common
@click.pass_obj
def compare(
    settings: Settings,
    variants: Sequence[str],
    in_channels: int,
    width: int,
    size: tuple[int, int],
    stride: int,
    sweeps: Sequence[str],
    precision: str,
    batch: int,
    output: Path | None,
    overrides: Sequence[str],
    form: str,
) -> None:
    """Block types side by side for the same channels and map: their cost, and against a plain convolution.

    BLOCK: a name, with settings that are its own as in stacked:layers=3; every registered block where none is named.
    """
    blocks = load_blocks(settings.plugins)
    chosen = [_variant(blocks, text) for text in variants or blocks]
    rows = compare_blocks(
        blocks,
        chosen,
        in_channels=in_channels,
        width=width,
        size=size,
        stride=stride,
        settings={name: value for text in overrides for name, value in _shared(blocks, chosen, text, "--set").items()},
        sweep=dict(_sweep(blocks, chosen, text) for text in sweeps),
        precision=precision,
        batch=batch,
    )
    if output is not None:
        draw_comparison(rows, output)
        note(f"wrote {output}")
    if form == "table":
        click.echo(comparison_text(rows, terminal_width()))
    else:
        print_rows(form, comparison_records(rows), (), comparison_fields(rows))


def _variant(blocks: Blocks, text: str) -> BlockVariant:
    """`stacked:kernel=3,layers=3`."""
    name, _, given = text.partition(":")
    overrides = _ANOTHER.split(given) if given else []
    return BlockVariant(name, block_settings(blocks[name], overrides, text))


def _shared(blocks: Blocks, variants: Iterable[BlockVariant], override: str, place: str) -> dict[str, Value]:
    """One key=value, of the type that the first block which takes it declares."""
    name = override.partition("=")[0].strip()
    taking = [block for block in (blocks[one.block] for one in variants) if name in {**block.choices, **block.options}]
    return block_settings((taking or [blocks[one.block] for one in variants])[0], [override], place)


def _sweep(blocks: Blocks, variants: Sequence[BlockVariant], text: str) -> tuple[str, list[Value]]:
    """The quantity and its values."""
    name, equals, values = (part.strip() for part in text.partition("="))
    listed = [value.strip() for value in values.split(",") if value.strip()]
    if not equals or not name or not listed:
        raise BlockError(f"--sweep {text!r}: not of the form name=value,value; allowed: as kernel=3,5,7")
    if name in MEASURES:
        return name, [_whole(name, value) for value in listed]
    return name, [_shared(blocks, variants, f"{name}={value}", "--sweep")[name] for value in listed]


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise BlockError(f"--sweep {name}: {value!r}; allowed: whole numbers from 1")
    return int(value)
