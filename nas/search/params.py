"""Draws as Optuna's params: the distributions that a draw by its names was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from nas.arch.record import Value
from nas.study.space import Draw, Space


class _Replay:
    """A picker that picks what names say, and writes down what it might have picked."""

    def __init__(self, named: Mapping[str, Value]) -> None:
        self.named = named
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The number of that name; raises ValueError where there is none or it is out of range."""
        value = self._named(name, range(low, high + 1, step))
        self.distributions[name] = IntDistribution(low, high, step=step)
        return int(value)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The choice of that name; raises ValueError where there is none or it is not one of the choices."""
        value = self._named(name, choices)
        self.distributions[name] = CategoricalDistribution(choices)
        return value

    def _named(self, name: str, values: Sequence[Any]) -> Any:
        value = self.named.get(name)
        if value not in values:
            raise ValueError(f"{name}: {value!r} is none of {list(values)}")
        return value


def replayed(space: Space, named: Mapping[str, Value]) -> tuple[Draw, dict[str, BaseDistribution]]:
    """The draw of these names, and what each was drawn from; raises ValueError where the space cannot draw it."""
    picker = _Replay(named)
    return space.draw(picker), picker.distributions
