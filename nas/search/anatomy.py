"""Where in a searched network its costs lie: the stem, each stage, the head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from nas.arch.record import LIMITS
from nas.arch.spec import Architecture, BlockPart
from nas.blocks.registry import Blocks
from nas.blocks.trace import LayerCost, cost
from nas.search.phrases import phrase
from nas.search.stages import Numbers


@dataclass(frozen=True)
class PartCost:
    """A part of a network (`stem`, `stage1` and so on, `head`), its blocks in words, and what it costs."""

    part: str
    blocks: str
    params: int
    weights: int
    macs: int
    activations: int


def parts(architecture: Architecture, depths: Sequence[int], blocks: Blocks) -> list[PartCost]:
    """The parts of a network of a stem and stages so many blocks deep. Raises BlockError where a block is missing."""
    costs = _by_part(cost(architecture, blocks).layers)
    words = (phrase(part) for part in architecture.parts if isinstance(part, BlockPart))
    found = []
    for number, depth in enumerate((1, *depths)):
        text = " | ".join(islice(words, depth))
        found.append(PartCost(f"stage{number}" if number else "stem", text, *_sum(islice(costs, depth))))
    return [*found, PartCost("head", "", *_sum(costs))]


def _by_part(layers: Iterable[LayerCost]) -> Iterator[Numbers]:
    """What each part costs: its layers follow one another, and their names begin alike."""
    for _, group in groupby(layers, key=lambda layer: layer.name.partition(".")[0]):
        yield _sum(Numbers(*(getattr(layer, name) for name in LIMITS)) for layer in group)


def _sum(costs: Iterable[Numbers]) -> Numbers:
    total = Numbers()
    for one in costs:
        total = total.plus(one)
    return total
