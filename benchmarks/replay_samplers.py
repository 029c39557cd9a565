"""Who searches a table in the replay benchmark: Optuna's samplers as people use them, two classics, and ours."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial
from replay_tables import Table

from nas.search.drawing import values_of
from nas.search.evolution import RegularisedEvolution
from nas.search.points import Made
from nas.search.sampler import BudgetSampler

OVER = "over"
"""The attribute of a trial that says by what share its cost is over the limit; at most 0: it is not."""


class Space:
    """A table as a space to draw from: ordered choices as places, others by name."""

    def __init__(self, table: Table, limits: Mapping[str, float]) -> None:
        self.table, self.limits = table, limits
        self.distributions: dict[str, BaseDistribution] = {
            name: IntDistribution(0, len(values) - 1) if ordered else CategoricalDistribution(values)
            for name, values, ordered in zip(table.names, table.values, table.ordered, strict=True)
        }

    def row(self, named: Mapping[str, Any]) -> int | None:
        """The table's row of these choices; None where it has none."""
        choices = zip(self.table.names, self.table.values, self.table.ordered, strict=True)
        return self.table.place.get(tuple(named[n] if ordered else vs.index(named[n]) for n, vs, ordered in choices))

    def over(self, row: int | None) -> float:
        """By what share a row is over its tightest limit."""
        if row is None:
            return 1.0
        return max((float(self.table.costs[name][row]) / limit - 1 for name, limit in self.limits.items()), default=0.0)

    def make(self, named: Mapping[str, Any]) -> Made | None:
        """For our sampler: the same choices, with their costs."""
        row = self.row(named)
        return None if row is None else Made(named, {name: float(v[row]) for name, v in self.table.costs.items()})


class LocalSearch(BaseSampler):
    """First improvement: one choice of the best so far changed at random, and a new start where all have been tried."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.named: dict[str, Any] = {}
        self.read = 0
        self.tried: set[tuple[Any, ...]] = set()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None."""
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Choose what to change."""
        for one in study.get_trials(deepcopy=False)[self.read : trial.number]:
            self.tried.add(tuple(one.params.items()))
        self.read, self.named = trial.number, {}
        try:
            best = study.best_trial
        except ValueError:  # nothing has ended
            return
        edits = [
            {**best.params, name: value}
            for name, distribution in best.distributions.items()
            for value in values_of(distribution)
            if value != best.params[name]
        ]
        new = [edit for edit in edits if tuple(edit.items()) not in self.tried]
        self.named = self.random.choice(new) if new else {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: BaseDistribution) -> Any:
        """The edit's value."""
        if param_name in self.named:
            return self.named[param_name]
        return self.random.choice(values_of(param_distribution))


def _constraints(trial: FrozenTrial) -> tuple[float]:
    return (trial.user_attrs.get(OVER, 0.0),)


SAMPLERS: Mapping[str, Callable[[Space, int], BaseSampler]] = {
    "ours": lambda space, seed: BudgetSampler(space.distributions, make=space.make, limits=space.limits, seed=seed),
    "random": lambda space, seed: RandomSampler(seed=seed),
    "tpe": lambda space, seed: TPESampler(seed=seed, multivariate=True),
    "tpe-constraints": lambda space, seed: TPESampler(seed=seed, multivariate=True, constraints_func=_constraints),
    "nsga2": lambda space, seed: NSGAIISampler(seed=seed, constraints_func=_constraints),
    "gp": lambda space, seed: GPSampler(seed=seed, constraints_func=_constraints),
    "cmaes": lambda space, seed: CmaEsSampler(seed=seed),
    "evolution": lambda space, seed: RegularisedEvolution(seed),
    "local": lambda space, seed: LocalSearch(seed),
}

TOLD_VALUES = ("gp",)
"""Samplers that learn of constraints from complete trials alone, and would ask for what was pruned again and again."""


def sampler_of(name: str, space: Space, seed: int) -> BaseSampler:
    """A sampler of that name for a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SAMPLERS[name](space, seed)
