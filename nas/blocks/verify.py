"""What a block declares, held against what it builds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from nas.arch.cost import Shape
from nas.arch.record import Value
from nas.arch.spec import settings
from nas.blocks.base import Block
from nas.blocks.costing import Settings, block_cost, is_valid
from nas.blocks.measure import call_text, measure
from nas.blocks.registry import Blocks
from nas.errors import BlockError, UncountedOperator

CHANNELS = ((8, 16), (16, 16), (16, 24), (32, 64), (64, 64), (3, 8), (3, 64))
"""(in_channels, width) pairs that blocks are tried with, those that most blocks allow first."""

STRIDES = (1, 2, 3)

_MOST_SETTINGS = 12
_COUNTED = ("params", "weights", "macs", "activations")


class Case(NamedTuple):
    """One way of building a block that the block allows."""

    in_channels: int
    width: int
    stride: int
    values: Mapping[str, Value]


def all_settings(block: Block) -> list[dict[str, Value]]:
    """Every combination of choices, options at their defaults; of many combinations those that vary one choice."""
    lists = {name: list(values) for name, values in block.choices.items()}
    combinations = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    if len(combinations) > _MOST_SETTINGS:
        first = combinations[0]
        varied = [{**first, name: value} for name, values in lists.items() for value in values[1:]]
        combinations = [first, *varied]
    return [{**block.options, **values} for values in combinations]


def cases(block: Block, channels: int = 2) -> Iterator[Case]:
    """For each of the settings and strides, the first few pairs of channels that the block allows.

    Raises BlockError where its veto breaks.
    """
    for values, stride in itertools.product(all_settings(block), STRIDES):
        fit = (pair for pair in CHANNELS if is_valid(block, *pair, stride, settings(values)))
        for in_channels, width in itertools.islice(fit, channels):
            yield Case(in_channels, width, stride, values)


def verify(block: Block, shape: Shape, width: int, stride: int, values: Mapping[str, Any]) -> list[str]:
    """The differences between the declared cost and the built module's for an input (C, H, W), one line each.

    A block that declares no cost is only measured. What cannot be built or measured is a line of its own.
    """
    try:
        built = measure(block, shape, width, stride, values)
        declared = block_cost(block, shape, width, stride, settings(values))
    except BlockError as error:
        return [str(error)]
    numbers = {"in_channels": shape[0], "width": width, "stride": stride, **values}
    where = f"{', '.join(f'{name}={value}' for name, value in numbers.items())} on {shape[1]}×{shape[2]} pixels"
    pairs = [(name, getattr(declared, name), getattr(built, name)) for name in _COUNTED]
    if declared.receptive_field is not None and built.receptive_field is not None:
        pairs.append(("receptive_field", declared.receptive_field, built.receptive_field))
    return [
        f"block {block.name!r}: cost declares {said} {name} for {where}; the built module has {is_}"
        for name, said, is_ in pairs
        if said != is_
    ]


@lru_cache(maxsize=10_000)
def prove(block: Block, shape: Shape, width: int, stride: int, given: Settings) -> None:
    """Raise BlockError where a block's closed form is not what its built module has for an input (C, H, W).

    An uncounted operator is believed, and so is a receptive field that cannot be determined.
    """
    if type(block).cost is Block.cost:
        return
    declared = block_cost(block, shape, width, stride, given)
    with suppress(UncountedOperator):
        measured = measure(block, shape, width, stride, dict(given))
        for name in (*_COUNTED, "receptive_field"):
            said, found = getattr(declared, name), getattr(measured, name)
            if said != found and None not in (said, found):
                call = call_text(block, shape[0], width, stride, dict(given))
                raise BlockError(f"{call} lies about its cost: it declares {said:,} {name} and has {found:,}")


def quick_check(blocks: Blocks) -> dict[str, str]:
    """Block name -> why it cannot be trusted, for those that lie about cost or shape; on meta tensors alone.

    Each block is tried once as its first choices and options stand, with stride 1 and 2 on a small odd map.
    """
    found = {}
    for name, block in blocks.items():
        problem = _first_problem(block)
        if problem:
            found[name] = problem
    return found


def _first_problem(block: Block) -> str | None:
    try:
        tried = [next((case for case in cases(block, 1) if case.stride == stride), None) for stride in (1, 2)]
    except BlockError as error:
        return str(error)
    for case in tried:
        lines = verify(block, (case.in_channels, 9, 5), case.width, case.stride, case.values) if case else []
        if lines:
            return lines[0]
    return None
