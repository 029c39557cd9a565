"""Regularised evolution, as an Optuna sampler."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.search.drawing import values_of
from nas.search.sampler import value_of

POPULATION, TOURNAMENT = 32, 8
"""The youngest so many may be parents; the best of so many drawn from them is one."""


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
        youngest = [one for one in grown if value_of(one) is not None][-POPULATION:]
        self.parent, self.changed = {}, None
        if len(youngest) >= TOURNAMENT:
            drawn = self.random.sample(youngest, TOURNAMENT)
            self.parent = max(drawn, key=lambda one: value_of(one) or 0.0).params
            self.changed = self.random.choice(sorted(self.parent)) if self.parent else None

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The parent's value, or another where this is the choice to change or the parent has none."""
        values = values_of(param_distribution, param_name)
        inherited = self.parent.get(param_name)
        if inherited not in values:
            return self.random.choice(values)
        if param_name == self.changed and len(values) > 1:
            return self.random.choice([value for value in values if value != inherited])
        return inherited
