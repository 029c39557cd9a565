"""The pictures of docs/kernel-sizes.md that need no training, and how one becomes text."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from kernel_facts import BLOCKS, weights
from matplotlib.figure import Figure

from nas.blocks.sweep import BlockVariant, ComparedBlock, compare_blocks
from nas.show.plot import Line, Panel, lines, write

SEEN = (3, 5, 7, 9, 11)
"""Receptive fields of the first picture, in pixels."""

CHANNELS = (8, 16, 32, 64, 128, 256, 512, 1024)


@cache
def first_layers() -> tuple[ComparedBlock, ...]:
    """The first layer on 256×256×3, 64 filters, by kernel and stride."""
    sweep = {"kernel": (3, 5, 7, 11), "stride": (1, 2, 4)}
    return tuple(compare_blocks(BLOCKS, ["conv"], in_channels=3, width=64, size=256, sweep=sweep))


def weights_by_field() -> Figure:
    """The weights that a block needs to see so many pixels."""
    variants: Sequence[tuple[str, Callable[[int], BlockVariant]]] = (
        ("one k×k (conv)", lambda seen: BlockVariant("conv", {"kernel": seen})),
        ("3×3 on 3×3 (stacked)", lambda seen: BlockVariant("stacked", {"kernel": 3, "layers": (seen - 1) // 2})),
        ("1×k, k×1 (spatial)", lambda seen: BlockVariant("spatial", {"kernel": seen})),
        ("two groups (grouped)", lambda seen: BlockVariant("grouped", {"kernel": seen, "groups": 2})),
        ("bottleneck, by 8", lambda seen: BlockVariant("bottleneck", {"kernel": seen, "reduction": 8})),
        ("inception", lambda seen: BlockVariant("inception", {"kernel": seen, "split": "paper"})),
        ("separable", lambda seen: BlockVariant("separable", {"kernel": seen})),
    )
    drawn = [
        Line(label, [(seen, _row(made_for(seen)).weights or 0) for seen in SEEN], place)
        for place, (label, made_for) in enumerate(variants)
    ]
    return lines([Panel("receptive field, pixels", "weights", drawn, SEEN, [f"{seen}×{seen}" for seen in SEEN])])


def _row(variant: BlockVariant, channels: int = 256) -> ComparedBlock:
    (row,) = compare_blocks(BLOCKS, [variant], in_channels=channels, width=channels)
    return row


def lighter_by_channels() -> Figure:
    """How many times lighter a block is than the plain convolution that sees as much, by channels."""
    variants = (
        ("separable 5×5", BlockVariant("separable", {"kernel": 5})),
        ("separable 3×3", BlockVariant("separable", {"kernel": 3})),
        ("two 3×3 for a 5×5", BlockVariant("stacked", {"kernel": 3, "layers": 2})),
    )
    drawn = [
        Line(label, [(count, _row(variant, count).times_lighter_by_field or 0) for count in CHANNELS], place)
        for place, (label, variant) in enumerate(variants)
    ]
    twice = [(n, weights("conv", n, kernel=5) / (2 * weights("separable", n, kernel=3))) for n in CHANNELS]
    drawn.insert(1, Line("two separable 3×3 for a 5×5", twice, 3))
    drawn.append(Line("the article's 13", [(CHANNELS[0], 13), (CHANNELS[-1], 13)], 6, 1))
    names = [str(count) for count in CHANNELS]
    return lines([Panel("channels, in and out", "times lighter", drawn, CHANNELS, names)])


def svg(figure: Figure) -> str:
    """The picture as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        write(figure, path)
        return path.read_text(encoding="utf-8")
