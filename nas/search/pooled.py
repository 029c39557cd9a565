"""Networks of a space as points in which like choices are alike, whatever block and stage they are of.

A sampler's names tell the kernel of one block type from that of another, and of one stage from that of the next: a few
dozen trainings then say nothing of kernels. Here kernels of one stage are one choice, and what is chosen in several
places stands beside once more as its mean over the network, block types as their shares.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from nas.arch.record import Value
from nas.search.choices import BLOCK, DEPTH, KERNEL, STAGES, chosen
from nas.search.drawing import Point, place_of
from nas.study.space import Space

LEVELS = 32
"""A mean or share is one of so many steps."""

_SHARE = IntDistribution(0, LEVELS)
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
        for kind, values in pooled.items():
            for name, level in self._means(kind, values):
                found[name], distributions[name] = level, _SHARE
        return Point(found, distributions)

    def _means(self, kind: str, values: Sequence[Value]) -> list[tuple[str, int]]:
        """Where the mean of ordered values lies between the first and the last, or the share of each block type."""
        distribution = self.distributions[kind]
        if isinstance(distribution, IntDistribution) and kind not in _ONCE:
            places = [place_of(distribution, value) for value in values]
            return [(f"mean {kind}", round(LEVELS * sum(places) / len(places)))]
        if kind == BLOCK:
            return [(f"share {name}", round(LEVELS * values.count(name) / len(values))) for name in self.space.blocks]
        return []


def _distribution(values: Sequence[Value]) -> BaseDistribution:
    """Whole numbers with their order, on the finest steps that have them all; other values as categories."""
    if len(values) > 1 and all(type(value) is int for value in values):
        ordered = sorted(int(value) for value in values)
        return IntDistribution(ordered[0], ordered[-1], step=math.gcd(*(b - a for a, b in pairwise(ordered))))
    return CategoricalDistribution(list(dict.fromkeys(values)))
