"""Block types that no trial of a study has yet: which of them fit the budget, and the networks that bring them."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice

from nas.arch.record import Value
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.project import project
from nas.study.space import Draw, RandomPicker, Space

DRAWS = 20
"""So many random draws may show a block type, or that it fits."""

LEADING = 8
"""Of so many highest in order the cheapest to train comes first."""


def fitting(costs: Costs, *, fill: bool) -> list[str]:
    """The block types of a space with which networks can meet the budget; none where there is but one type."""
    types = dict.fromkeys(costs.space.blocks)
    return [block for block in types if _fits(block, costs, fill)] if len(types) > 1 else []


def highest_with(blocks: Collection[str], in_order: Iterable[Mapping[str, Value]], costs: Costs) -> Iterator[Draw]:
    """Of networks in order, by their choices as made, those with one of these block types.

    About as much is expected of the leading ones: they come by their multiply-adds, the fewest first, since that is
    trained soonest.
    """
    having = (named for named in in_order if stage_blocks(costs.space, named) & set(blocks))
    draws = (replayed(costs.space.draw, named)[0] for named in having)
    yield from sorted(islice(draws, LEADING), key=partial(_macs, costs))
    yield from draws


def drawn_with(block: str, space: Space, numbers: random.Random) -> Iterator[Draw]:
    """Random draws: of the type alone, then of all, since some types fit only behind others."""
    picker = RandomPicker(numbers)
    for some in (space.only(block), space):
        yield from (some.draw(picker) for _ in range(DRAWS))


def stage_blocks(space: Space, params: Mapping[str, Value]) -> set[str]:
    """The block types of a trial's stages: the stem's says nothing of what is searched."""
    places = [value for name, value in params.items() if name.endswith(".block")]
    return {space.blocks[place] for place in places if isinstance(place, int) and 0 <= place < len(space.blocks)}


def has(draw: Draw, blocks: Collection[str]) -> bool:
    """Whether one of its stages is of one of these types."""
    return any(pick.block in blocks for stage in draw.skeleton.stages for pick in stage)


def _macs(costs: Costs, draw: Draw) -> float:
    found = costs.numbers(draw.skeleton, draw.widths)
    return math.inf if found is None else found.macs


def _fits(block: str, costs: Costs, fill: bool) -> bool:
    only = Costs(costs.space.only(block), costs.blocks, costs.budget)
    if project(only.space.draw(RandomPicker(random.Random(0))), only, fill=fill) is not None:
        return True
    picker = RandomPicker(random.Random(0))
    mixed = (project(costs.space.draw(picker), costs, fill=fill) for _ in range(DRAWS))
    return any(found is not None and has(found.draw, [block]) for found in mixed)
