"""Whether some widths of a drawn skeleton cost within [0.9 B, B]: counted by itself, apart from the search.

Up to `MOST_EXHAUSTIVE` width combinations all are looked at. Of more, a grid of evenly spread widths, ends included, is
looked at whole; where that has networks on both sides of the band but none inside, random single changes follow.
"""

from __future__ import annotations

import math
import random

import numpy as np

from nas.arch.cost import dense
from nas.arch.record import LIMITS
from nas.blocks.costing import block_cost
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost
from nas.errors import BlockError
from nas.study.budget import Budget
from nas.study.space import Draw, Skeleton, Space, Stage

MOST_EXHAUSTIVE, CHANGES = 20_000, 1_000
BAND = 0.9


class Attainable:
    """Answers for one space and budget; how each answer was found is counted in `ways`."""

    def __init__(self, space: Space, blocks: Blocks, budget: Budget, ways: dict[str, int]) -> None:
        self.space, self.blocks, self.budget, self.ways = space, blocks, budget, ways
        self.limits = [(name, limit) for name, limit in budget.maxima.items()]
        self.known: dict[Skeleton, bool] = {}

    def __call__(self, skeleton: Skeleton) -> bool:
        """Whether some widths of the skeleton fill the budget, and see enough pixels."""
        if skeleton not in self.known:
            self.known[skeleton] = self._found(skeleton)
        return self.known[skeleton]

    def _found(self, skeleton: Skeleton) -> bool:
        values = self.space.width_values(len(skeleton.stages))
        exhaustive = math.prod(map(len, values)) <= MOST_EXHAUSTIVE
        rows = [sorted(row) if exhaustive else _spread(row, len(values)) for row in values]
        use = self._use(skeleton, rows)
        inside = np.argwhere((use >= BAND) & (use <= 1))
        if len(inside):
            self._count("exhaustive" if exhaustive else "spread grid")
            return any(self._sees(skeleton, rows, index) for index in inside[:: max(1, len(inside) // 8)])
        if exhaustive or not (use <= 1).any() or not (np.isfinite(use) & (use > 1)).any():
            self._count("exhaustive" if exhaustive else "spread grid")
            return False
        self._count("sampled")
        return self._sampled(skeleton, values, [row[i] for row, i in zip(rows, _most_below(use), strict=True)])

    def _count(self, way: str) -> None:
        self.ways[way] = self.ways.get(way, 0) + 1

    def _use(self, skeleton: Skeleton, rows: list[list[int]]) -> np.ndarray:
        """The share of the tightest limit for every combination of the rows' widths; infinite where vetoed."""
        count, places = len(self.limits), len(rows)
        total = np.zeros((1,) * places + (count,))
        before = [self.space.input[0]]
        for place, (stage, size, stride) in enumerate(self._stages(skeleton)):
            shape = [1] * places + [count]
            shape[place] = len(rows[place])
            if place:
                shape[place - 1] = len(before)
            table = [[self._shares(stage, size, stride, c, w) for w in rows[place]] for c in before]
            total = total + np.array(table).reshape(shape)
            before = rows[place]
        heads = np.array([self._head(width) for width in rows[-1]])
        return np.asarray((total + heads).max(axis=-1))

    def _stages(self, skeleton: Skeleton) -> list[tuple[Stage, tuple[int, int], int]]:
        size = self.space.input[1:]
        stages: list[tuple[Stage, tuple[int, int], int]] = [((self.space.stem_pick(skeleton.stem_kernel),), size, 1)]
        for number, stage in enumerate(skeleton.stages):
            stride = 2 if number else 1
            stages.append((stage, size, stride))
            size = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        return stages

    def _shares(self, stage: Stage, size: tuple[int, int], stride: int, before: int, width: int) -> list[float]:
        spent = dict.fromkeys(LIMITS, 0)
        for pick in stage:
            try:
                one = block_cost(self.blocks[pick.block], (before, *size), width, stride, pick.settings)
            except BlockError:
                return [math.inf] * len(self.limits)
            spent = {name: spent[name] + getattr(one, name) for name in LIMITS}
            before, size, stride = width, (math.ceil(size[0] / stride), math.ceil(size[1] / stride)), 1
        return [spent[name] / limit for name, limit in self.limits]

    def _head(self, width: int) -> list[float]:
        head = dense((width, 1, 1), self.space.classes)
        return [getattr(head, name) / limit for name, limit in self.limits]

    def _sees(self, skeleton: Skeleton, rows: list[list[int]], index: np.ndarray) -> bool:
        widths = tuple(row[i] for row, i in zip(rows, index, strict=True))
        architecture = self.space.architecture(Draw(skeleton, widths))
        return self.budget.sees(cost(architecture, self.blocks).receptive_field)

    def _sampled(self, skeleton: Skeleton, values: list[tuple[int, ...]], widths: list[int]) -> bool:
        """Random single changes from the best network below the band, each kept where it comes nearer from below."""
        generator = random.Random(0)
        best = 0.0
        for _ in range(CHANGES):
            tried = list(widths)
            place = generator.randrange(len(tried))
            tried[place] = generator.choice(values[place])
            use = float(self._use(skeleton, [[width] for width in tried]).max())
            if best < use <= 1:
                widths, best = tried, use
            if best >= BAND:
                return self._sees(skeleton, [[width] for width in widths], np.zeros(len(widths), dtype=int))
        return False


def _spread(values: tuple[int, ...], places: int) -> list[int]:
    """So many evenly spread values, ends included, that the grid of all places stays within bounds."""
    most = max(2, int(MOST_EXHAUSTIVE ** (1 / places)))
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[i] for i in sorted({round(k * (len(ordered) - 1) / (most - 1)) for k in range(most)})]


def _most_below(use: np.ndarray) -> tuple[int, ...]:
    below = np.where(use <= 1, use, -1.0)
    return tuple(int(i) for i in np.unravel_index(int(below.argmax()), below.shape))
