"""What a sampler may propose: points of a space as they are made, what they cost, and those that stand by."""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.search.drawing import Drawing, Point, drawn, neighbours, replayed
from nas.search.surrogate import Encoder, Floats

POOL, DRAWS, FRESH = 500, 2_000, 2
"""So many points stand by, of at most so many draws; with each ask so many new ones come."""

FROM_TOP = 40
"""Of the points standing by so many of most macs are never given up for new ones."""

ABREAST, STEPS_UP = 10, 30
"""So many points are taken on together, by so many edits at most, to those of most macs."""

MOST_REMEMBERED = 20_000
"""So many draws are remembered by what they became; a long search would else fill the memory."""

MOST_AROUND = 200
"""The neighbours of so many points are remembered."""

Costs = Mapping[str, float]


@dataclass(frozen=True)
class Made:
    """What a draw becomes before it is trained (as drawn, where nothing changes it), and what that costs."""

    named: Mapping[str, Any]
    costs: Costs


Make = Callable[[Mapping[str, Any]], Made | None]
"""What a draw becomes; None where nothing can be made of it."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A point as made, what it costs, and the share of the tightest limit that it takes.

    `key` is the same for the same choices, `order` its macs, or what stands for them.
    """

    key: Hashable
    point: Point
    costs: Costs
    use: float
    order: float
    encoder: Encoder

    @cached_property
    def vector(self) -> Floats:
        """Its place (D,) for the model."""
        return self.encoder.vector(self.point)


class Points:
    """The points of a space, made and limited; those within the limits that a sampler has not taken are to be had."""

    def __init__(self, draw: Drawing, make: Make, limits: Costs, generator: random.Random) -> None:
        self.draw, self.make, self.limits, self.random = draw, make, limits, generator
        self.encoder = Encoder()
        self.taken: set[Hashable] = set()
        self.pool: list[Seen] = []
        """Those that stand by, most macs first."""
        self._standing: set[Hashable] = set()
        self._filled = False
        self._made: dict[Hashable, Seen | None] = {}
        self._around: dict[Hashable, list[Seen]] = {}

    def look(self, named: Mapping[str, Any]) -> Seen | None:
        """What a draw becomes and costs; None where nothing, or it is no draw of the space."""
        key = tuple(named.items())
        if key not in self._made:
            if len(self._made) >= MOST_REMEMBERED:
                self._made.clear()
            self._made[key] = self._looked(named)
        return self._made[key]

    def _looked(self, named: Mapping[str, Any]) -> Seen | None:
        try:
            # What the space cannot draw is not given to whoever makes.
            _, point = replayed(self.draw, named)
            made = self.make(point.named)
            if made is None:
                return None
            _, point = replayed(self.draw, made.named)
        except ValueError:
            return None
        use = max((made.costs[name] / limit for name, limit in self.limits.items()), default=1.0)
        order = made.costs.get("macs", next(iter(made.costs.values()), 0.0))
        return Seen(tuple(point.named.items()), point, made.costs, use, order, self.encoder)

    def new(self, points: Iterable[Seen]) -> Iterator[Seen]:
        """Those of the points that are to be had."""
        return (one for one in points if one.use <= 1 and one.key not in self.taken)

    def any_new(self, points: Iterable[Seen]) -> Seen | None:
        """One of those that are to be had, at random; None where none is."""
        found = list(self.new(points))
        return self.random.choice(found) if found else None

    def drawn(self, most: int) -> Iterator[Seen]:
        """What so many random draws become, those left out that nothing can be made of."""
        for _ in range(most):
            one = self.look(drawn(self.draw, self.random).named)
            if one is not None:
                yield one

    def around(self, one: Seen) -> list[Seen]:
        """The points within the limits that are one edit away, as made."""
        if one.key not in self._around:
            if len(self._around) >= MOST_AROUND:
                self._around.clear()
            looked = (self.look(other.named) for other in neighbours(self.draw, one.point, self.random))
            found = {other.key: other for other in looked if other is not None and other.use <= 1}
            found.pop(one.key, None)
            self._around[one.key] = list(found.values())
        return self._around[one.key]

    def refresh(self) -> None:
        """Have points within the limits stand by, those of most macs among them; later on add a few new ones."""
        if self._filled:
            self._stand_by(one for one in self.drawn(FRESH) if one.use <= 1)
            return
        self._filled = True
        points: dict[Hashable, Seen] = {}
        for one in self.drawn(DRAWS):
            if one.use <= 1:
                points[one.key] = one
            if len(points) == POOL:
                break
        self._stand_by(points.values())
        self._stand_by(self._dearest())

    def _stand_by(self, points: Iterable[Seen]) -> None:
        for one in points:
            if one.key not in self._standing:
                self._standing.add(one.key)
                insort(self.pool, one, key=lambda other: -other.order)
        while len(self.pool) > POOL:
            self._standing.remove(self.pool.pop(self.random.randrange(FROM_TOP, len(self.pool))).key)

    def _dearest(self) -> list[Seen]:
        """The points of most macs that edits lead to, from the first of those that stand by."""
        top = self.pool[:FROM_TOP]
        for _ in range(STEPS_UP):
            near = {other.key: other for one in top[:ABREAST] for other in self.around(one)}
            near |= {one.key: one for one in top}
            further = sorted(near.values(), key=lambda other: -other.order)[:FROM_TOP]
            if [one.key for one in further] == [one.key for one in top]:
                break
            top = further
        return top
