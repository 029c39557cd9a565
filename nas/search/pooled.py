"""Networks of a space as points in which like choices are alike, whatever block and stage they are of.

A sampler's names tell the kernel of one block type from that of another, and of one stage from that of the next: a few
dozen trainings then say nothing of kernels. Here kernels of one stage are one choice, and what is chosen in several
places stands beside once more as its mean over the network, block types as their shares. In anybody's space what is
chosen from the same values is taken for the same kind.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from nas.arch.record import Value
from nas.search.choices import BLOCK, DEPTH, KERNEL, STAGES, chosen
from nas.search.drawing import Point, place_of, types_of, values_of
from nas.study.space import Space

LEVELS, MOST_SHARES = 12, 32
"""A mean or share is one of so many steps, and only of so many categories there are shares: a search keeps them."""

_LEVEL = IntDistribution(0, LEVELS)
_ONCE = (STAGES, "stem.kernel", "stem.width")


class Pooled:
    """The points of one space, from networks by their names."""

    def __init__(self, space: Space) -> None:
        self.space = space
        kernels = {value for choices in space.choices.values() for value in choices.get(KERNEL, ())}
        own = {
            f"{block}.{name}": values for block, choices in space.choices.items() for name, values in choices.items()
        }
        values: dict[str, Sequence[Value]] = {
            **own,
            BLOCK: space.blocks,
            KERNEL: sorted(kernels, key=float),
            "width": space.widths,
            DEPTH: space.depths,
            STAGES: space.stages,
            "stem.kernel": space.stem_kernels,
            "stem.width": space.stem_widths,
        }
        self.distributions = {kind: _distribution(all_of) for kind, all_of in values.items() if all_of}

    def point(self, named: Mapping[str, Value]) -> Point:
        """The point of a network."""
        found, distributions = dict[str, Any](), dict[str, BaseDistribution]()
        pooled: dict[str, list[Value]] = defaultdict(list)
        for choice, value in chosen(named, self.space.blocks).items():
            name = ".".join(choice)
            found[name], distributions[name] = value, self.distributions[choice.kind]
            pooled[choice.kind].append(value)
        point = Point(found, distributions)
        for kind, values in pooled.items():
            distribution = self.distributions[kind]
            if kind == BLOCK or (isinstance(distribution, IntDistribution) and kind not in _ONCE):
                point = _with_mean(point, kind, distribution, values)
        return point

    def compared(self, point: Point) -> Point:
        """The same, from the point as it is drawn."""
        return self.point(point.named)


def with_means(point: Point) -> Point:
    """A point of anybody's space, with the mean of what is chosen from the same values in several places."""
    places: dict[int, list[str]] = defaultdict(list)
    for name, distribution in point.distributions.items():
        places[id(distribution)].append(name)
    found = point
    for names in places.values():
        if len(names) > 1:
            distribution = point.distributions[names[0]]
            kind = _kind(distribution, types_of(distribution))
            found = _with_mean(found, kind, distribution, [point.named[name] for name in names])
    return found


@lru_cache(maxsize=1_000)
def _kind(distribution: BaseDistribution, types: tuple[type, ...]) -> str:
    """`types` keep 1.0 apart from 1."""
    return repr(distribution)


def _with_mean(point: Point, kind: str, distribution: BaseDistribution, values: Sequence[Any]) -> Point:
    """The point, and where the mean of ordered values lies from the first to the last, or each category's share.

    Of very many categories the shares say too little for the room that they take.
    """
    if isinstance(distribution, IntDistribution):
        means = {f"mean {kind}": sum(place_of(distribution, value) for value in values)}
    elif len(values_of(distribution)) <= MOST_SHARES:
        means = {f"share {kind} {one}": values.count(one) for one in values_of(distribution)}
    else:
        return point
    levels = {name: round(LEVELS * total / len(values)) for name, total in means.items()}
    return Point({**point.named, **levels}, {**point.distributions, **dict.fromkeys(levels, _LEVEL)})


def _distribution(values: Sequence[Value]) -> BaseDistribution:
    """Whole numbers with their order, on the finest steps that have them all; other values as categories."""
    if len(values) > 1 and all(type(value) is int for value in values):
        ordered = sorted(int(value) for value in values)
        return IntDistribution(ordered[0], ordered[-1], step=math.gcd(*(b - a for a, b in pairwise(ordered))))
    return CategoricalDistribution(list(dict.fromkeys(values)))
