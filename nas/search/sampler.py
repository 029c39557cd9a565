"""Samplers by name: Optuna's own, and regularised evolution and enumeration as Optuna samplers of ours."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.study.space import Space

POPULATION, TOURNAMENT = 32, 8
"""Regularised evolution: the youngest so many may be parents; the best of so many drawn from them is one."""


def make_sampler(name: str, space: Space, trials: int, seed: int) -> BaseSampler:
    """The sampler of that name; `auto` enumerates a space no larger than the study, and is TPE elsewhere."""
    if name == "auto":
        name = "grid" if space.size() <= trials else "tpe"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "random":
            return RandomSampler(seed=seed)
        if name == "gp":
            return GPSampler(seed=seed, deterministic_objective=True)
        if name == "evolution":
            return RegularisedEvolution(seed)
        if name == "grid":
            return Enumeration(space)
        startup = max(5, min(10, trials // 3))
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup)


class _Independent(BaseSampler):
    """A sampler that decides each parameter as it comes up, so that it works in any conditional space."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: nothing is decided beforehand."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is decided beforehand."""
        return {}


class RegularisedEvolution(_Independent):
    """A child of the best of a random few of the youngest, one choice changed; the oldest die.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019, algorithm 1.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.parent: Mapping[str, Any] = {}
        self.changed: str | None = None

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


class Enumeration(_Independent):
    """Every draw of the space once, the last choice turning fastest; random draws once all have been given."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.draws: Iterator[Any] = space.draws()
        self.named: Mapping[str, Any] = {}
        self.random = random.Random(0)
        self.number = -1

    def _turn(self, trial: FrozenTrial) -> None:
        """Turn to the next draw with the first question of a trial; one whose params are given asks none."""
        if trial.number != self.number:
            draw = next(self.draws, None)
            self.named, self.number = self.space.names(draw) if draw else {}, trial.number

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of this draw."""
        self._turn(trial)
        values = _values(param_distribution)
        value = self.named.get(param_name)
        return value if value in values else self.random.choice(values)


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
