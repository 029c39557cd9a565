"""Samplers by name: ours, Optuna's own, and regularised evolution."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.arch.record import LIMITS
from nas.search.costs import Costs
from nas.search.params import replayed
from nas.search.project import project
from nas.search.sampler import BudgetSampler, Made
from nas.study.space import Space

POPULATION, TOURNAMENT = 32, 8
"""Regularised evolution: the youngest so many may be parents; the best of so many drawn from them is one."""


STARTUP = (5, 10)
"""TPE and GP draw at random until a third of the trials are known, but at least and at most so many."""


def sampler_for(name: str, space: Space, trials: int) -> str:
    """What `auto` stands for: a space no larger than the study is gone through in order, elsewhere it is TPE."""
    if name != "auto":
        return name
    return "grid" if space.size() <= trials else "tpe"


def make_sampler(name: str, trials: int, seed: int, costs: Costs | None = None, *, fill: bool = True) -> BaseSampler:
    """The Optuna sampler of that name; `grid` has none, since the proposer goes through the space itself.

    `costs` are those of the space; without them `budget` knows nothing of space and budget.
    """
    startup = min(max(STARTUP[0], trials // 3), STARTUP[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "tpe":
            return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=startup)
        if name == "gp":
            return GPSampler(
                seed=seed, n_startup_trials=startup, deterministic_objective=True, warn_independent_sampling=False
            )
        if name == "budget" and costs is not None:
            limits = {LIMITS[index]: float(limit) for index, limit in costs.limits}
            return BudgetSampler(costs.space.draw, make=partial(made, costs, fill), limits=limits, seed=seed)
        if name == "evolution":
            return RegularisedEvolution(seed)
        return RandomSampler(seed=seed)


def made(costs: Costs, fill: bool, named: Mapping[str, Any]) -> Made | None:
    """The network within the budget that stands for a draw by its names, and its costs; None where there is none."""
    try:
        draw, _ = replayed(costs.space, named)
    except ValueError:
        return None
    found = project(draw, costs, fill=fill)
    if found is None:
        return None
    depth = sum(len(stage) for stage in found.draw.skeleton.stages)
    told = {name: float(value) for name, value in zip(LIMITS, found.numbers, strict=True)}
    return Made(costs.space.names(found.draw), {**told, "depth": float(depth)})


class RegularisedEvolution(BaseSampler):
    """A child of the best of a random few of the youngest, one choice changed; the oldest die.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019, algorithm 1.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.parent: Mapping[str, Any] = {}
        self.changed: str | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: each choice is decided as it comes up, so that it works in any conditional space."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is decided beforehand."""
        return {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Choose the parent and the one choice to change."""
        grown = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        youngest = [one for one in grown if _score(one) is not None][-POPULATION:]
        self.parent, self.changed = {}, None
        if len(youngest) >= TOURNAMENT:
            drawn = self.random.sample(youngest, TOURNAMENT)
            self.parent = max(drawn, key=lambda one: _score(one) or 0.0).params
            self.changed = self.random.choice(sorted(self.parent)) if self.parent else None

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The parent's value, or another where this is the choice to change or the parent has none."""
        values = _values(param_distribution)
        inherited = self.parent.get(param_name)
        if inherited not in values:
            return self.random.choice(values)
        if param_name == self.changed and len(values) > 1:
            return self.random.choice([value for value in values if value != inherited])
        return inherited


def _values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1, distribution.step))


def _score(trial: FrozenTrial) -> float | None:
    """The accuracy of a trial; of a pruned one the last it reported."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    last = max(trial.intermediate_values, default=None)
    return None if last is None else trial.intermediate_values[last]


def quiet() -> None:
    """Keep Optuna from logging every trial: our own display tells of them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
