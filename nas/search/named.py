"""Samplers by name: ours, Optuna's own, and regularised evolution."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from nas.arch.record import LIMITS
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.evolution import RegularisedEvolution
from nas.search.memory import Memory, expected, features
from nas.search.points import Made
from nas.search.pooled import Pooled
from nas.search.project import project
from nas.search.sampler import BudgetSampler
from nas.study.space import Space

STARTUP = (5, 10)
"""TPE and GP draw at random until a third of the trials are known, but at least and at most so many."""


def sampler_for(name: str, space: Space, trials: int) -> str:
    """What `auto` stands for: a space no larger than the study is gone through in order, elsewhere it is ours."""
    if name != "auto":
        return name
    return "grid" if space.size() <= trials else "budget"


def make_sampler(
    name: str, trials: int, seed: int, costs: Costs | None = None, *, fill: bool = True, memory: Memory | None = None
) -> BaseSampler:
    """The Optuna sampler of that name; `grid` has none, since the proposer goes through the space itself.

    `costs` are those of the space; without them `budget` learns the space from the trials, and has no limits. `memory`
    tells it of what other studies trained.
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
            make, alike = partial(made, costs, fill, memory), Pooled(costs.space).compared
            return BudgetSampler(costs.space.draw, make=make, alike=alike, limits=limits, seed=seed)
        if name == "budget":
            return BudgetSampler(seed=seed)
        if name == "evolution":
            return RegularisedEvolution(seed)
        return RandomSampler(seed=seed)


def made(costs: Costs, fill: bool, memory: Memory | None, named: Mapping[str, Any]) -> Made | None:
    """The network within the budget that stands for a draw by its names, and its costs; None where there is none."""
    try:
        draw, _ = replayed(costs.space.draw, named)
    except ValueError:
        return None
    found = project(draw, costs, fill=fill)
    if found is None:
        return None
    told = {name: float(value) for name, value in zip(LIMITS, found.numbers, strict=True)}
    orders = [expected(found.numbers.params, found.draw.widths[-1])]
    if memory is not None:
        score = memory.score(features(costs.space.architecture(found.draw), told))
        orders.insert(0 if memory.believed else 1, score)
    return Made(costs.space.names(found.draw), told, tuple(orders))


def quiet() -> None:
    """Keep Optuna from logging every trial: our own display tells of them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
