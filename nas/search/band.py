"""Searching a skeleton's widths for those inside the band, where scaling them together steps over it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas.search.widths import Point, WidthGrid

MOST_COMBINATIONS = 20_000
"""Of more width combinations only so many around the ones at hand are looked at, and never more steps taken."""

_SLACK = 1e-9

Shares = tuple[float, ...]
"""A share of each limit."""


def closest(grid: WidthGrid, near: Point, *leasts: float) -> Point | None:
    """The widths nearest to the ones given (in logarithms) that take from the least share to 1 of the tightest limit.

    Where none takes so much, the next of the leasts holds. Branch and bound, place by place; exact where there are at
    most `MOST_COMBINATIONS` widths to combine.
    """
    if not grid.limits:
        return None
    search = _Search(grid, near.widths)
    return next((found for least in leasts if (found := search.nearest(least))), None)


class _Search:
    """The state of one search: the values to try at each place, what the places behind cost at least and most."""

    def __init__(self, grid: WidthGrid, near: Sequence[int]) -> None:
        self.grid, self.near = grid, near
        self.values = _nearby(grid.values, near)
        self.bounds = self._bounds()
        self.widths: list[int] = []

    def nearest(self, least: float) -> Point | None:
        """The nearest widths that take from `least` to 1 of the tightest limit."""
        self.least, self.steps = least, 0
        self.best: Point | None = None
        self.best_distance = math.inf
        self.descend(0, self.grid.channels, (0.0,) * len(self.grid.limits), 0.0)
        return self.best

    def _bounds(self) -> list[dict[int, tuple[Shares, Shares]]]:
        """For each place and width the least and most shares of all that comes behind it."""
        least = most = np.array([self._shares(self.grid.head(width)) for width in self.values[-1]])
        found = [(least, most)]
        for place in range(len(self.values) - 1, 0, -1):
            parts = np.array(
                [[self._part(place, c, width) for width in self.values[place]] for c in self.values[place - 1]]
            )
            # What is not a number counts for neither, and stays where there is nothing else.
            least, most = np.fmin.reduce(parts + least, 1), np.fmax.reduce(parts + most, 1)
            found.insert(0, (least, most))
        return [
            {
                width: (tuple(low), tuple(high))
                for width, low, high in zip(row, least.tolist(), most.tolist(), strict=True)
                if not math.isnan(low[0])
            }
            for row, (least, most) in zip(self.values, found, strict=True)
        ]

    def _part(self, place: int, before: int, width: int) -> Shares:
        numbers = self.grid.stages[place].numbers(before, width)
        return (math.nan,) * len(self.grid.limits) if numbers is None else self._shares(numbers)

    def _shares(self, numbers: Sequence[int]) -> Shares:
        return tuple(numbers[index] / limit for index, limit in self.grid.limits)

    def descend(self, place: int, before: int, spent: Shares, distance: float) -> None:
        """Try the widths of a place, nearest first, and for each those of the places behind it."""
        stage, target = self.grid.stages[place], self.near[place]
        for width in self.values[place]:
            away = distance + math.log(width / target) ** 2
            if away >= self.best_distance:
                return
            numbers = stage.numbers(before, width) if width in self.bounds[place] else None
            self.steps += 1
            if numbers is None or self.steps > MOST_COMBINATIONS:
                continue
            total = _sum(spent, self._shares(numbers))
            if self._can(total, *self.bounds[place][width]):
                self.widths.append(width)
                self._go_on(place, width, total, away)
                self.widths.pop()

    def _go_on(self, place: int, width: int, total: Shares, away: float) -> None:
        if place + 1 < len(self.values):
            self.descend(place + 1, width, total, away)
            return
        point = self.grid.point(tuple(self.widths))
        if self.least <= point.use <= 1:
            self.best, self.best_distance = point, away

    def _can(self, total: Shares, low: Shares, high: Shares) -> bool:
        """Whether what is spent so far can end within every limit and reach the least share of one."""
        within = all(share + least <= 1 + _SLACK for share, least in zip(total, low, strict=True))
        return within and any(share + most >= self.least - _SLACK for share, most in zip(total, high, strict=True))


def _nearby(values: Sequence[Sequence[int]], near: Sequence[int]) -> list[list[int]]:
    """The values of each place, nearest first; of a grid too large only the nearest few of each."""
    ordered = [
        sorted(row, key=lambda width: (abs(math.log(width / target)), width))
        for row, target in zip(values, near, strict=True)
    ]
    longest = max(len(row) for row in ordered)
    while longest > 2 and math.prod(min(len(row), longest) for row in ordered) > MOST_COMBINATIONS:
        longest -= 1
    return [row[:longest] for row in ordered]


def _sum(one: Shares, other: Shares) -> Shares:
    return tuple([a + b for a, b in zip(one, other, strict=True)])
