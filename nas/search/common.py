"""What points have in common, choice by choice: inner products of vectors, each kept for when it is wanted again."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

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

FIRST_ROOM = (1_024, 256)
"""Room for so many points, of so many numbers each, at first."""


class Common:
    """What pairs of points have in common: the inner product of their vectors.

    A category that both have counts 1; so does an ordered choice, whatever its values, and each level that both reach
    some more. The squared distance of two points, half of what each has in common with itself less what they have in
    common, then counts the choices in which they differ; one that only one of them has counts half. A name is another
    choice for each number of values.
    """

    def __init__(self) -> None:
        self._rows: dict[Hashable, int] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._size = 0
        # What two have in common is a sum of some dozens of numbers up to 3: single precision is enough.
        self._vectors = np.zeros(FIRST_ROOM, dtype=np.float32)

    def of(self, points: Sequence[tuple[Hashable, Point]]) -> Floats:
        """The matrix (N, N) of points with any keys: what has the same key is the same point."""
        new = {key: point for key, point in points if key not in self._rows}
        if (len(self._rows) + len(new)) * self._size > MOST_KEPT:
            self._rows, self._places, self._size, new = {}, {}, 0, dict(points)
        for key, point in new.items():
            self._put(key, point)
        vectors = self._vectors[[self._rows[key] for key, _ in points], : self._size]
        return (vectors @ vectors.T).astype(np.float64)

    def _put(self, key: Hashable, point: Point) -> None:
        """Write down a vector, with a place for each category, or one for an ordered choice and one for each level."""
        row, places = len(self._rows), [self._place(*one) for one in point.distributions.items()]
        self._make_room(row + 1, self._size)
        vector = self._vectors[row]
        vector[:] = 0
        for (place, levels), (name, distribution) in zip(places, point.distributions.items(), strict=True):
            value = point.named[name]
            if isinstance(distribution, CategoricalDistribution):
                vector[place + distribution.choices.index(value)] = 1
            else:
                reached = round(place_of(distribution, value) * levels)
                vector[place] = 1
                vector[place + 1 : place + 1 + reached] = math.sqrt(2 * SPREAD / max(1, levels))
        self._rows[key] = row

    def _place(self, name: str, distribution: BaseDistribution) -> tuple[int, int]:
        """Where the numbers of a choice begin, and how many levels it has."""
        levels = levels_of(distribution)
        if (name, levels) not in self._places:
            self._places[name, levels] = self._size
            self._size += 1 + levels
        return self._places[name, levels], levels

    def _make_room(self, rows: int, columns: int) -> None:
        old, wanted = self._vectors, (rows, columns)
        if any(size < least for size, least in zip(old.shape, wanted, strict=True)):
            room = [size if size >= least else 2 * least for size, least in zip(old.shape, wanted, strict=True)]
            self._vectors = np.zeros(room, dtype=np.float32)
            self._vectors[: old.shape[0], : old.shape[1]] = old


def levels_of(distribution: BaseDistribution) -> int:
    """By how many levels the values of a distribution are told apart."""
    values = values_of(distribution)
    return len(values) if isinstance(distribution, CategoricalDistribution) else min(MOST_LEVELS, len(values) - 1)
