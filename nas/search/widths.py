"""The widths that a skeleton may take, and what the networks cost that they make."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from nas.search.stages import Numbers, StageCosts, total_of

Limits = Sequence[tuple[int, int]]
"""(place in `Numbers`, limit) for each cost that is limited from above."""


class Point(NamedTuple):
    """Widths with what the network costs: `use` is the largest share of a limit, infinite where it cannot be built."""

    widths: tuple[int, ...]
    numbers: Numbers
    use: float


class WidthGrid:
    """The widths of a skeleton's places, the stem's first: of each those from which every later place can go on."""

    def __init__(
        self,
        stages: Sequence[StageCosts],
        values: Sequence[Sequence[int]],
        channels: int,
        head: Callable[[int], Numbers],
        limits: Limits,
    ) -> None:
        self.stages, self.channels, self.head, self.limits = stages, channels, head, limits
        self.values = self._consistent([tuple(sorted(row)) for row in values])
        self._points: dict[tuple[int, ...], Point] = {}

    @property
    def possible(self) -> bool:
        """Whether any widths at all are left that every block takes."""
        return bool(self.values[0])

    def _consistent(self, values: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """From the last place forward, so that picking from the first on never ends in a dead end."""
        kept = [values[-1]]
        for place in range(len(values) - 1, -1, -1):
            before = values[place - 1] if place else (self.channels,)
            kept.insert(0, self.stages[place].live(before, kept[0]))
        return kept[1:] if kept[0] else [() for _ in values]

    def point(self, widths: tuple[int, ...]) -> Point:
        """What the network of these widths costs."""
        if widths not in self._points:
            self._points[widths] = self._counted(widths)
        return self._points[widths]

    def _counted(self, widths: tuple[int, ...]) -> Point:
        parts, before = [self.head(widths[-1])], self.channels
        for stage, width in zip(self.stages, widths, strict=True):
            part = stage.numbers(before, width)
            if part is None:
                return Point(widths, Numbers(), math.inf)
            parts.append(part)
            before = width
        total = total_of(parts)
        return Point(widths, total, max((total[index] / limit for index, limit in self.limits), default=0.0))

    def nearest(self, targets: Sequence[float]) -> Point:
        """The widths nearest to the targets, picked from the stem on so that every block takes them."""
        widths: list[int] = []
        before = self.channels
        for stage, values, target in zip(self.stages, self.values, targets, strict=True):
            width = closest_of(values, target)
            if not stage.allows(before, width):
                width = next(other for other in outward(values, target) if stage.allows(before, other))
            widths.append(width)
            before = width
        return self.point(tuple(widths))

    @property
    def narrowest(self) -> Point:
        """The least width everywhere, as far as blocks take it."""
        return self.nearest([values[0] for values in self.values])

    @property
    def widest(self) -> Point:
        """The largest width everywhere, as far as blocks take it."""
        return self.nearest([values[-1] for values in self.values])

    @cached_property
    def is_free(self) -> bool:
        """Whether each width may follow each, as far as the outermost tell: then the narrowest are the cheapest."""
        pairs = zip(self.stages[1:], pairwise([row[:3] + row[-3:] for row in self.values]), strict=True)
        return all(stage.allows(c, w) for stage, (before, after) in pairs for c in before for w in after)

    def raised(self, point: Point) -> Iterator[tuple[int, Point]]:
        """Each place whose width has a next larger value, with the widths that have it there."""
        for place, values in enumerate(self.values):
            larger = bisect_left(values, point.widths[place] + 1)
            if larger < len(values):
                yield place, self.point((*point.widths[:place], values[larger], *point.widths[place + 1 :]))

    def is_step(self, point: Point, other: Point) -> bool:
        """Whether the second has the next larger value in one place, and is the first else."""
        places = [place for place, width in enumerate(point.widths) if width != other.widths[place]]
        if len(places) != 1:
            return False
        [place] = places
        values, larger = self.values[place], other.widths[place]
        return values[bisect_left(values, larger) - 1] == point.widths[place] < larger


def closest_of(values: Sequence[int], target: float) -> int:
    """Of ascending values the nearest to the target, the smaller of equals: the first of `outward`."""
    right = bisect_left(values, target)
    if right == len(values) or (right and target - values[right - 1] <= values[right] - target):
        return values[right - 1]
    return values[right]


def outward(values: Sequence[int], target: float) -> Iterator[int]:
    """Ascending values from the nearest to the target outward, the smaller of equals first."""
    right = bisect_left(values, target)
    left = right - 1
    while left >= 0 or right < len(values):
        if right == len(values) or (left >= 0 and target - values[left] <= values[right] - target):
            yield values[left]
            left -= 1
        else:
            yield values[right]
            right += 1
