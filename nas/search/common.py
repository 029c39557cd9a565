"""What points have in common, choice by choice: inner products of vectors, each kept for when it is wanted again."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nas.search.drawing import Point, place_of, values_of

Floats = NDArray[np.float64]

MOST_LEVELS = 32
"""Ordered values are told apart as so many levels."""

SPREAD = 1.5
"""The distance of the first from the last of ordered values; of two categories it is 1."""

MOST_KEPT = 2_000_000
"""So many numbers are kept; before there are more all are given up, and what is still asked for is put down anew."""

FIRST_ROOM = (512, 256)
"""Room for so many points, of so many numbers each, at first."""


class Common:
    """What pairs of points have in common: the inner product of their vectors.

    A category that both have counts 1; so does an ordered choice, whatever its values, and each level that both reach
    some more. The squared distance of two points, half of what each has in common with itself less what they have in
    common, then counts the choices in which they differ; one that only one of them has counts half. A name is another
    choice for each number of values.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._rows: dict[Hashable, int] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._size = 0
        self._vectors = np.zeros(FIRST_ROOM)

    def of(self, points: Sequence[tuple[Hashable, Point]]) -> Floats:
        """The matrix (N, N) of points with any keys: what has the same key is the same point."""
        new = {key: point for key, point in points if key not in self._rows}
        self._widen(new.values())
        if self._rows and (len(self._rows) + len(new)) * self._size > MOST_KEPT:
            self._begin()
            new = dict(points)
            self._widen(new.values())
        self._make_room(len(self._rows) + len(new), self._size)
        for key, point in new.items():
            self._put(key, point)
        vectors = self._vectors[[self._rows[key] for key, _ in points], : self._size]
        found: Floats = vectors @ vectors.T
        return found

    def _widen(self, points: Iterable[Point]) -> None:
        """Have places for the choices of points."""
        for point in points:
            for name, distribution in point.distributions.items():
                levels = levels_of(distribution)
                if (name, levels) not in self._places:
                    self._places[name, levels] = self._size
                    self._size += 1 + levels

    def _put(self, key: Hashable, point: Point) -> None:
        """Write down a vector, with a place for each category, or one for an ordered choice and one for each level."""
        row = len(self._rows)
        vector = self._vectors[row]
        for name, distribution in point.distributions.items():
            value, levels = point.named[name], levels_of(distribution)
            place = self._places[name, levels]
            if isinstance(distribution, CategoricalDistribution):
                vector[place + distribution.choices.index(value)] = 1
            else:
                reached = round(place_of(distribution, value) * levels)
                vector[place] = 1
                vector[place + 1 : place + 1 + reached] = math.sqrt(2 * SPREAD / max(1, levels))
        self._rows[key] = row

    def _make_room(self, rows: int, columns: int) -> None:
        old, wanted, used = self._vectors, (rows, columns), len(self._rows)
        if any(size < least for size, least in zip(old.shape, wanted, strict=True)):
            room = [size if size >= least else 2 * least for size, least in zip(old.shape, wanted, strict=True)]
            self._vectors = np.zeros(room)
            self._vectors[:used, : old.shape[1]] = old[:used]


def levels_of(distribution: BaseDistribution) -> int:
    """By how many levels the values of a distribution are told apart."""
    values = values_of(distribution)
    return len(values) if isinstance(distribution, CategoricalDistribution) else min(MOST_LEVELS, len(values) - 1)
