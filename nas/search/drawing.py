"""Points of any space that is defined by drawing from it: random ones, and those that lie one edit away."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from nas.study.space import Picker

Drawing = Callable[[Picker], Any]
"""Whatever asks a picker for its choices, as an Optuna objective asks a trial; what it gives back does not matter."""

FAR = 2
"""Of more than `FEW` ordered values only so many either way are one edit away."""

FEW = 5

_NONE = object()


@dataclass(frozen=True)
class Point:
    """What was chosen by name, and what each was chosen from."""

    named: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]

    @property
    def key(self) -> Hashable:
        """The same for the same choices."""
        return tuple(self.named.items())


class _Chooser:
    """A picker that has each choice made by a function, and writes it down."""

    def __init__(self, choose: Callable[[str, BaseDistribution], Any]) -> None:
        self.choose = choose
        self.named: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A number from low to high in steps."""
        chosen: int = self._chosen(name, IntDistribution(low, high, step=step))
        return chosen

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self._chosen(name, CategoricalDistribution(choices))

    def _chosen(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self.named:
            self.distributions[name] = distribution
            self.named[name] = self.choose(name, distribution)
        return self.named[name]


def flat(distributions: Mapping[str, BaseDistribution]) -> Drawing:
    """The drawing of a space where every choice is always made. Raises ValueError for what is neither kind."""
    for name, one in distributions.items():
        values_of(one, name)

    def draw(picker: Picker) -> None:
        for name, one in distributions.items():
            if isinstance(one, IntDistribution):
                picker.suggest_int(name, one.low, one.high, step=one.step)
            elif isinstance(one, CategoricalDistribution):
                picker.suggest_categorical(name, one.choices)

    return draw


def values_of(distribution: BaseDistribution, name: str = "") -> Sequence[Any]:
    """All values of a categorical or integer distribution. Raises ValueError for another one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    raise ValueError(f"{name}: {type(distribution).__name__} is neither categorical nor integer")


def drawn(draw: Drawing, generator: random.Random) -> Point:
    """A point drawn uniformly, choice by choice."""
    return _made(draw, lambda name, distribution: generator.choice(values_of(distribution, name)))


def pointed(draw: Drawing, named: Mapping[str, Any]) -> Point | None:
    """The point of these choices; None where the space has no such point."""
    picker = _Chooser(lambda name, distribution: named.get(name, _NONE))
    try:
        draw(picker)
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    possible = all(picker.named[name] in values_of(one, name) for name, one in picker.distributions.items())
    return Point(picker.named, picker.distributions) if possible else None


def neighbours(draw: Drawing, point: Point, generator: random.Random) -> Iterator[Point]:
    """The points that differ from this one in one choice, and in what that choice brings with it (drawn at random)."""
    for name, distribution in point.distributions.items():
        for value in _others(distribution, point.named[name]):
            yield _made(draw, _Edit(point.named, name, value, generator))


@dataclass(frozen=True)
class _Edit:
    """Chooses as a point did, but for one name."""

    named: Mapping[str, Any]
    name: str
    value: Any
    generator: random.Random

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        values = values_of(distribution, name)
        wanted = self.value if name == self.name else self.named.get(name)
        return wanted if wanted in values else self.generator.choice(values)


def _others(distribution: BaseDistribution, value: Any) -> Sequence[Any]:
    values = values_of(distribution)
    if isinstance(distribution, CategoricalDistribution) or len(values) <= FEW:
        return [other for other in values if other != value]
    place = values.index(value)
    return [values[other] for other in range(max(0, place - FAR), min(len(values), place + FAR + 1)) if other != place]


def _made(draw: Drawing, choose: Callable[[str, BaseDistribution], Any]) -> Point:
    picker = _Chooser(choose)
    draw(picker)
    return Point(picker.named, picker.distributions)
