"""What a sampler may propose: points of a space as they are made, what they cost, and those that stand by."""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.arch.record import written
from nas.search.drawing import Drawing, Point, drawn, edits, neighbour, replayed
from nas.search.pooled import with_means
from nas.search.surrogate import logarithms

POOL, DRAWS = 500, 2_000
"""So many points stand by, of at most so many draws."""

FAR_ON, FILLING = 100, 6
"""Where so many points are taken at the first ask already, the pool fills by so many with each ask: nobody waits. In a
study so long that points were passed over it fills as slowly as it changes later."""

FROM_TOP = 40
"""Of the points standing by so many of the highest order are never given up for new ones."""

ABREAST, STEPS_UP = 10, 30
"""So many points are taken on together, by so many edits at most, to those of the highest order."""

MOST_REMEMBERED = 20_000
"""So many draws are remembered by what they became; a long search would else fill the memory."""

MOST_AROUND = 200
"""The neighbours of so many points are remembered."""

Costs = Mapping[str, float]


@dataclass(frozen=True)
class Made:
    """What a draw becomes before it is trained (as drawn, where nothing changes it), and what that costs.

    `orders`: several figures, the likeliest first, each higher where more is expected before anything is known; none:
    by macs.
    """

    named: Mapping[str, Any]
    costs: Costs
    orders: tuple[float, ...] = ()


Make = Callable[[Mapping[str, Any]], Made | None]
"""What a draw becomes; None where nothing can be made of it."""

Alike = Callable[[Point], Point]
"""A point as it is compared with others: not by its names alone."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A point as made, and the share of the tightest limit that it takes.

    `key` is the same for the same choices as made, `named` these in the order of who made them; the `trends` are what
    the model is told of beside the choices, by each way to order points: that of the order first.
    """

    key: int
    named: Mapping[str, Any]
    point: Point
    use: float
    trends: tuple[tuple[float, ...], ...]
    alike: Alike

    @cached_property
    def written(self) -> int:
        """The hash of its choices as they are stored."""
        return hash(written(self.named))

    @cached_property
    def compared(self) -> Point:
        """Its choices as they are compared with those of others."""
        return self.alike(self.point)


class Points:
    """The points of a space, made and limited; those within the limits that a sampler has not taken are to be had."""

    def __init__(
        self, draw: Drawing, make: Make, limits: Costs, generator: random.Random, alike: Alike = with_means
    ) -> None:
        self.draw, self.make, self.limits, self.random, self.alike = draw, make, limits, generator, alike
        self.taken: set[int] = set()
        self.passed: set[int] = set()
        """Of points that are known, though nothing is told of them, the hashes of their JSON."""
        self.by = 0
        self.pool: list[Seen] = []
        """Those that stand by, of the highest order first."""
        self._standing: set[int] = set()
        self._filled = False
        self._made: dict[Hashable, Seen | None] = {}
        self._around: dict[int, tuple[dict[int, Seen], list[tuple[str, Any]]]] = {}
        """Of points what their edits became, as far as these are made, and the edits that are not."""

    @property
    def count(self) -> int:
        """How many points are known; those told of after they were passed over count twice."""
        return len(self.taken) + len(self.passed)

    def look(self, named: Mapping[str, Any]) -> Seen | None:
        """What a draw becomes and costs; None where nothing, or it is no draw of the space."""
        key = tuple(named.items())
        if key in self._made:
            return self._made[key]
        try:
            # What the space cannot draw is not given to whoever makes.
            return self._of(replayed(self.draw, named)[1])
        except ValueError:
            return None

    def _of(self, point: Point) -> Seen | None:
        """What a point of the space becomes and costs; None where nothing."""
        key = tuple(point.named.items())
        if key not in self._made:
            if len(self._made) >= MOST_REMEMBERED:
                self._made.clear()
            self._made[key] = self._looked(point)
        return self._made[key]

    def _looked(self, point: Point) -> Seen | None:
        try:
            made = self.make(point.named)
            if made is None:
                return None
            if made.named != point.named:
                _, point = replayed(self.draw, made.named)
        except ValueError:
            return None
        use = max((made.costs[name] / limit for name, limit in self.limits.items()), default=1.0)
        trends = tuple((one,) for one in made.orders) or (_usual_trends(made.costs),)
        return Seen(key_of(made.named), made.named, point, use, trends, self.alike)

    def order(self, one: Seen) -> float:
        """What is expected of a point before anything is known; more is better."""
        trends = one.trends[self.by]
        return trends[0] if trends else 0.0

    def order_by(self, way: int) -> None:
        """Order the points in another way, of those that they were made with."""
        self.by = way
        self.pool.sort(key=self._down)

    def _down(self, one: Seen) -> float:
        return -self.order(one)

    def new(self, points: Iterable[Seen]) -> Iterator[Seen]:
        """Those of the points that are to be had."""
        return (one for one in points if one.use <= 1 and one.key not in self.taken and not self._is_passed(one))

    def _is_passed(self, one: Seen) -> bool:
        # Nothing is written down where nothing was passed over: choices of anybody's space need not be JSON.
        return bool(self.passed) and one.written in self.passed

    def any_new(self, points: Iterable[Seen]) -> Seen | None:
        """One of those that are to be had, at random; None where none is."""
        found = list(self.new(points))
        return self.random.choice(found) if found else None

    def drawn(self, most: int) -> Iterator[Seen]:
        """What so many random draws become, those left out that nothing can be made of."""
        for _ in range(most):
            one = self._of(drawn(self.draw, self.random))
            if one is not None:
                yield one

    def around(self, one: Seen) -> list[Seen]:
        """The points within the limits that are one edit away, as made."""
        return list(self._made_around(one, None).values())

    def new_around(self, one: Seen, most: int) -> list[Seen]:
        """Of the same `most` that are to be had, at random: only as many edits are made as that takes."""
        found = list(self.new(self._made_around(one, most).values()))
        return found if len(found) <= most else self.random.sample(found, most)

    def _made_around(self, one: Seen, most: int | None) -> Mapping[int, Seen]:
        """What edits become: all of them, or at random until `most` are to be had; others are made when wanted."""
        if one.key not in self._around:
            if len(self._around) >= MOST_AROUND:
                self._around.clear()
            rest = list(edits(one.point))[::-1]
            self._around[one.key] = {}, rest if most is None else self.random.sample(rest, len(rest))
        made, rest = self._around[one.key]
        had = 0 if most is None else sum(1 for _ in self.new(made.values()))
        while rest and (most is None or had < most):
            other = self._of(neighbour(self.draw, one.point, rest.pop(), self.random))
            if other is not None and other.use <= 1 and other.key != one.key and other.key not in made:
                made[other.key] = other
                had += any(True for _ in self.new([other]))
        return made

    def refresh(self, renew: bool = True) -> None:
        """Have points within the limits stand by, those of the highest order among them; later draw a new one, where
        none lacks only to `renew` them.
        """
        if self._filled or self.count >= FAR_ON:
            self._drop_taken()
            if len(self.pool) == POOL and not renew:
                return
            count = 1 if self._filled or self.passed else FILLING
            self._filled = self._filled or len(self.pool) >= POOL
            self._stand_by(one for one in self.drawn(count) if one.use <= 1)
            return
        self._filled = True
        points: dict[int, Seen] = {}
        for one in self.drawn(DRAWS):
            if one.use <= 1:
                points[one.key] = one
            if len(points) == POOL:
                break
        self._stand_by(points.values())
        self._stand_by(self._highest())

    def _drop_taken(self) -> None:
        """Of those of the highest order the taken ones stay: their edits are wanted."""
        gone = [one for one in self.pool[FROM_TOP:] if one.key in self.taken]
        if gone:
            self._standing -= {one.key for one in gone}
            self.pool = [one for one in self.pool if one.key in self._standing]

    def _stand_by(self, points: Iterable[Seen]) -> None:
        for one in points:
            if one.key not in self._standing:
                self._standing.add(one.key)
                insort(self.pool, one, key=self._down)
        while len(self.pool) > POOL:
            self._standing.remove(self.pool.pop(self.random.randrange(FROM_TOP, len(self.pool))).key)

    def _highest(self) -> list[Seen]:
        """The points of the highest order that edits lead to, from the first of those that stand by."""
        top = self.pool[:FROM_TOP]
        for _ in range(STEPS_UP):
            near = {other.key: other for one in top[:ABREAST] for other in self.around(one)}
            near |= {one.key: one for one in top}
            further = sorted(near.values(), key=self._down)[:FROM_TOP]
            if [one.key for one in further] == [one.key for one in top]:
                break
            top = further
        return top


def key_of(named: Mapping[str, Any]) -> int:
    """The same for the same choices in any order; what takes little room, since a long search remembers many."""
    # CPython has one hash for -1 and -2.
    return hash(frozenset((name, value, value == -1) for name, value in named.items()))


def _usual_trends(costs: Costs) -> tuple[float, ...]:
    """The logarithms of macs and depth, or of the first cost."""
    names = [name for name in ("macs", "depth") if name in costs] or list(costs)[:1]
    return tuple(float(one) for one in logarithms([costs], names)[0])
