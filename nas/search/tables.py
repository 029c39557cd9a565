"""A space compiled to tables: what any of its networks costs, by looking up its stem and its stages.

A draw is a row of codes, one a place: its stem, then each stage that the space may have, `ABSENT` where it has none.
Costs and pixels seen add up along a network, and what a stage adds depends on nothing but the width before it. So a
table a place suffices: a row for each width before, one more for networks that have ended, a column for each code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas.arch.record import LIMITS
from nas.blocks.registry import Blocks
from nas.errors import StudyFileError
from nas.search.costs import Costs, stride_of
from nas.search.stages import StageCosts
from nas.study.budget import Budget
from nas.study.space import Draw, Skeleton, Space, Stage

Integers = NDArray[np.int64]

ABSENT = -1
"""The code of a stage that a draw has not."""

COLUMNS = (*LIMITS, "receptive_field")
"""What the last axis of a table holds, and of what `CostTables.many` gives."""

MOST_ENTRIES = 2_000_000
"""A space of more stages, each counted with every width before it, is not compiled."""

_LARGEST = 2**53
_NEVER = -(2**58)
"""Stands for what cannot be built or is not known: a sum with it stays below zero, and 32 of them within 64 bits."""

_CHUNK = 8192
"""Rows summed at once, so that they stay in the processor's cache."""


class CostTables:
    """The costs of all networks of a space, exactly those of `nas.cost`.

    Raises StudyFileError where the space has too many stages to compile, or a network whose cost 64 bits do not hold.
    """

    def __init__(self, space: Space, blocks: Blocks) -> None:
        self.space, self.costs = space, Costs(space, blocks, Budget())
        self.stems = list(product(space.stem_kernels, space.stem_widths))
        """(kernel, width) by code."""
        self.stages = [(kind, width) for kind in _kinds(space) for width in space.widths]
        """(stage, width) by code, in every place alike."""
        self._stem_codes = {stem: code for code, stem in enumerate(self.stems)}
        self._stage_codes = {stage: code for code, stage in enumerate(self.stages)}
        self._stem = _exact(self._stem_row(kernel, width) for kernel, width in self.stems)
        self._tables = [self._table(number) for number in range(max(space.stages))]

    def codes(self, draw: Draw) -> tuple[int, ...]:
        """The row of a draw of this space."""
        skeleton, widths = draw.skeleton, draw.widths
        stages = [self._stage_codes[stage] for stage in zip(skeleton.stages, widths[1:], strict=True)]
        absent = [ABSENT] * (len(self._tables) - len(stages))
        return (self._stem_codes[skeleton.stem_kernel, widths[0]], *stages, *absent)

    def draw(self, codes: Sequence[int]) -> Draw:
        """The draw of a row."""
        kernel, width = self.stems[codes[0]]
        stages = [self.stages[code] for code in codes[1:] if code != ABSENT]
        return Draw(Skeleton(kernel, tuple(stage for stage, _ in stages)), (width, *(width for _, width in stages)))

    def one(self, codes: Sequence[int]) -> tuple[int, int, int, int, int | None] | None:
        """What one network costs, in the order of `COLUMNS`; a receptive field that is unknown is None.

        None altogether where a block vetoes a width, or the space has no such network.
        """
        stem, stages = self._rows
        params, weights, macs, activations, field, at = stem[codes[0]]
        for place, table in enumerate(stages, start=1):
            more = table[at][codes[place] + 1]
            params += more[0]
            weights += more[1]
            macs += more[2]
            activations += more[3]
            field += more[4]
            at = more[5]
        return None if params < 0 else (params, weights, macs, activations, field if field > 0 else None)

    def many(self, codes: Integers) -> Integers:
        """(N, places) codes -> (N, 5) sums in the order of `COLUMNS`; -1 throughout where there is no such network,
        and for a receptive field that is unknown.
        """
        found = np.empty((len(codes), len(COLUMNS)), np.int64)
        for start in range(0, len(codes), _CHUNK):
            self._sum(codes[start : start + _CHUNK], found[start : start + _CHUNK])
        return found

    def _sum(self, codes: Integers, total: Integers) -> None:
        after, columns = self._after, len(self.stages) + 1
        self._stem.take(codes[:, 0], axis=0, out=total, mode="clip")
        at = self._stem_after[codes[:, 0]]
        for place, table in enumerate(self._tables, start=1):
            column = codes[:, place] + 1
            total += table.take(at * columns + column, axis=0)
            at = after[column]
        np.maximum(total, -1, out=total)

    @cached_property
    def _stem_after(self) -> Integers:
        """The row behind each stem."""
        return np.arange(len(self.stems)) % len(self.space.stem_widths)

    @cached_property
    def _after(self) -> Integers:
        """The row behind each column: that of the stage's width, the last one behind a network's end."""
        widths = len(self.space.widths)
        return np.array([widths, *(code % widths for code in range(len(self.stages)))])

    @cached_property
    def _rows(self) -> tuple[list[tuple[int, ...]], list[list[list[tuple[int, ...]]]]]:
        """The tables as plain tuples, the next row last: Python reads these faster than arrays."""
        stem = [(*row, after) for row, after in zip(self._stem.tolist(), self._stem_after.tolist(), strict=True)]
        columns, after = len(self.stages) + 1, self._after.tolist()
        stages = []
        for table in self._tables:
            entries = [(*entry, after[n % columns]) for n, entry in enumerate(table.tolist())]
            stages.append([entries[start : start + columns] for start in range(0, len(entries), columns)])
        return stem, stages

    def _stem_row(self, kernel: int, width: int) -> tuple[int, ...]:
        """One pixel, and what the stem adds."""
        stem = StageCosts((self.space.stem_pick(kernel),), self.costs.blocks, self.space.input[1:], 1)
        *sums, pixels = self._entry(stem, self.space.input[0], width, 1)
        return (*sums, 1 + pixels)

    def _table(self, number: int) -> Integers:
        """(rows · columns, 5) of the stages in one place; where a network ends, its head is added."""
        space, never = self.space, (_NEVER,) * len(COLUMNS)
        size, jump, last = space.sizes(number + 1)[number], 2 ** max(0, number - 1), number + 1 == max(space.stages)
        kinds = [kind for kind, _ in self.stages[:: len(space.widths)]]
        costs = [StageCosts(kind, self.costs.blocks, size, stride_of(number)) for kind in kinds]
        rows: list[tuple[int, ...]] = []
        for before in space.widths if number else space.stem_widths:
            rows.append((*self.costs.head(before), 0) if number in space.stages else never)
            rows.extend(self._entry(one, before, width, jump, last) for one in costs for width in space.widths)
        return _exact([*rows, (0,) * len(COLUMNS), *[never] * len(self.stages)])

    def _entry(self, stage: StageCosts, before: int, width: int, jump: int, last: bool = False) -> tuple[int, ...]:
        """What a stage adds from `before` channels to `width`; before it, outputs lie `jump` pixels apart."""
        numbers = stage.numbers(before, width)
        if numbers is None:
            return (_NEVER,) * len(COLUMNS)
        pixels = stage.pixels(before, width, jump)
        return (*(numbers.plus(self.costs.head(width)) if last else numbers), _NEVER if pixels is None else pixels)


def _kinds(space: Space) -> list[Stage]:
    """Every stage, but for its width: blocks alike, or where they are mixed in every order."""
    picks = [pick for block in dict.fromkeys(space.blocks) for pick in space.picks(block)]
    count = sum(len(picks) ** depth if space.mix else len(picks) for depth in space.depths)
    _check_size(space, count)
    if space.mix:
        return [kind for depth in space.depths for kind in product(picks, repeat=depth)]
    return [(pick,) * depth for depth in space.depths for pick in picks]


def _check_size(space: Space, kinds: int) -> None:
    befores = len(space.stem_widths) + (max(space.stages) - 1) * len(space.widths)
    entries = befores * kinds * len(space.widths)
    if entries > MOST_ENTRIES:
        raise StudyFileError("space", [f"{entries:,} stages are too many to compile; at most {MOST_ENTRIES:,}"])


def _exact(rows: Iterable[tuple[int, ...]]) -> Integers:
    listed = list(rows)
    if any(number > _LARGEST for row in listed for number in row):
        raise StudyFileError("space", [f"a stage costs more than {_LARGEST:,}, which tables do not hold"])
    return np.array(listed, np.int64)
