"""Points of any space that is defined by drawing from it: random ones, named ones, and those that lie one edit away."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from nas.study.space import Odometer

FAR, FEW = 2, 5
"""Of more than `FEW` ordered values only so many either way are one edit away, next ones and ones further off."""

STRIDES = 32
"""Those further off lie a share of all values away: one in so many, and a few of these."""

FACTORS = (0.5, 0.8, 1.25, 2.0)
"""What an edit multiplies a number by that is drawn by its logarithm."""

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Point:
    """What was chosen by name, and what each was chosen from."""

    named: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]


@lru_cache(maxsize=1_000)
def _integers(low: int, high: int, step: int, log: bool) -> IntDistribution:
    return IntDistribution(low, high, log=log, step=step)


@lru_cache(maxsize=1_000)
def _categories(choices: tuple[Any, ...], types: tuple[type, ...]) -> CategoricalDistribution:
    """`types` keep 1.0 apart from 1."""
    return CategoricalDistribution(choices)


class Chooser:
    """A picker that has each choice made by a function, and writes it down."""

    def __init__(self, choose: Callable[[str, BaseDistribution], Any]) -> None:
        self.choose = choose
        self.named: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A number from low to high in steps."""
        chosen: int = self.suggest(name, _integers(low, high, step, log))
        return chosen

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.suggest(name, _categories(tuple(choices), tuple(map(type, choices))))

    def suggest(self, name: str, distribution: BaseDistribution) -> Any:
        """One of the values of a distribution; the same again for a name asked for twice."""
        if name not in self.named:
            self.distributions[name] = distribution
            self.named[name] = self.choose(name, distribution)
        return self.named[name]

    @property
    def point(self) -> Point:
        """What was chosen."""
        return Point(self.named, self.distributions)


Drawing = Callable[[Chooser], Any]
"""Whatever asks a picker for its choices, as an Optuna objective asks a trial; what it gives back does not matter."""


def flat(distributions: Mapping[str, BaseDistribution]) -> Drawing:
    """The drawing of a space where every choice is always made. Raises ValueError for what is neither kind."""
    for name, one in distributions.items():
        values_of(one, name)
    # Those of the same values are one object: Optuna takes long to tell that they are equal, and 1 is True to it.
    first: dict[tuple[BaseDistribution, tuple[type, ...]], BaseDistribution] = {}
    once = {name: first.setdefault((one, types_of(one)), one) for name, one in distributions.items()}
    return partial(_suggest_each, once)


def _suggest_each(distributions: Mapping[str, BaseDistribution], picker: Chooser) -> None:
    for name, one in distributions.items():
        picker.suggest(name, one)


def values_of(distribution: BaseDistribution, name: str = "") -> Sequence[Any]:
    """All values of a categorical or integer distribution. Raises ValueError for another one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    raise ValueError(f"{name}: {type(distribution).__name__} is neither categorical nor integer")


def types_of(distribution: BaseDistribution) -> tuple[type, ...]:
    """The types of the values of a categorical distribution, by which 1, 1.0 and True are not the same."""
    return tuple(map(type, distribution.choices)) if isinstance(distribution, CategoricalDistribution) else ()


def place_of(distribution: BaseDistribution, value: Any) -> float:
    """Where an integer lies between the first (0) and the last (1) of its values, by its logarithm where so drawn."""
    assert isinstance(distribution, IntDistribution)
    low, high = distribution.low, distribution.high
    if low == high:
        return 0.0
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return float(value - low) / (high - low)


def drawn(draw: Drawing, generator: random.Random) -> Point:
    """A point drawn choice by choice: uniformly, an integer by its logarithm where its distribution says so."""
    picker = Chooser(lambda name, distribution: any_of(distribution, generator, name))
    draw(picker)
    return picker.point


def any_of(distribution: BaseDistribution, generator: random.Random, name: str = "") -> Any:
    """One value of a distribution, drawn as it says."""
    values = values_of(distribution, name)
    if isinstance(distribution, IntDistribution) and distribution.log:
        low, high = math.log(distribution.low - 0.5), math.log(distribution.high + 0.5)
        return min(distribution.high, max(distribution.low, round(math.exp(generator.uniform(low, high)))))
    return generator.choice(values)


def replayed(draw: Callable[[Chooser], Drawn], named: Mapping[str, Any]) -> tuple[Drawn, Point]:
    """What comes of these choices, and the point that they are; raises ValueError where the space has no such point."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        values, value = values_of(distribution, name), named.get(name)
        if value not in values:
            raise ValueError(f"{name}: {value!r} is none of {values}")
        return value

    picker = Chooser(choose)
    return draw(picker), picker.point


def neighbour(draw: Drawing, point: Point, edit: tuple[str, Any], generator: random.Random) -> Point:
    """The point with one choice, by its name, made another value; what that brings with it is drawn at random."""
    name, value = edit
    return _edited(draw, {**point.named, name: value}, _at_random(generator))


def edits(point: Point) -> Iterator[tuple[str, Any]]:
    """Each choice with each value that one edit may put in place of its own."""
    for name, distribution in point.distributions.items():
        for value in _others(distribution, point.named[name]):
            yield name, value


def completions(draw: Drawing, named: Mapping[str, Any], most: int, generator: random.Random) -> list[Point]:
    """Every point of these choices, with all that they bring and do not say; of more than `most` so many at random."""
    odometer, found = Odometer(), list[Point]()

    def turned(distribution: BaseDistribution, name: str) -> Any:
        return odometer.suggest_categorical(name, values_of(distribution, name))

    while odometer.start():
        if len(found) == most:
            return [_edited(draw, named, _at_random(generator)) for _ in range(most)]
        found.append(_edited(draw, named, turned))
    return found


Choose = Callable[[BaseDistribution, str], Any]


def _at_random(generator: random.Random) -> Choose:
    return lambda distribution, name: any_of(distribution, generator, name)


def _edited(draw: Drawing, named: Mapping[str, Any], other: Choose) -> Point:
    """The point of these choices as far as there is one; what they do not say is for `other` to choose."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        values, value = values_of(distribution, name), named.get(name)
        return value if name in named and value in values else other(distribution, name)

    picker = Chooser(choose)
    draw(picker)
    return picker.point


def _others(distribution: BaseDistribution, value: Any) -> list[Any]:
    """The values that one edit may put in place of this one."""
    values = values_of(distribution)
    if isinstance(distribution, CategoricalDistribution) or len(values) <= FEW:
        return [other for other in values if other != value]
    if isinstance(distribution, IntDistribution) and distribution.log:
        found = {value - 1, value + 1, *(round(value * factor) for factor in FACTORS)}
    else:
        strides = {1, max(1, len(values) // STRIDES)}
        place, found = values.index(value), set()
        for offset in {stride * count for stride in strides for count in range(-FAR, FAR + 1)}:
            if 0 <= place + offset < len(values):
                found.add(values[place + offset])
    return sorted(other for other in found if other in values and other != value)
