"""Which choices go with accuracy, told by a forest that is asked about trials it has not seen alone.

A choice's importance is the share of the variance of the ranks that is lost where its values are replaced by those of
other trials that have the choice too; what exists under it alone is replaced with it. Half the increase of the squared
error on trials held out, by the variance: with a perfect model Sobol's total effect, and 0 on average for a choice that
does not matter. Source: Watson and Wright, "Testing conditional independence in supervised learning algorithms", 2021
(errors on trials held out, by trial, and their t-test); Sobol', Mathematics and Computers in Simulation 55, 2001.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit
from scipy.stats import ConstantInputWarning, rankdata, spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from nas.search.choices import ChoiceTable, Floats

FEWEST = 10
"""With fewer complete trials nothing is said."""

LEVEL = 0.01
"""A model that chance alone would make as good more often than this is not believed."""

TREES, SMALLEST_LEAF = 60, 2
FOLDS, REPLACEMENTS = 10, 16
"""So many other trials' values are put in place of a held-out trial's own, to see what that costs."""


@dataclass(frozen=True)
class Belief:
    """How far a model can be believed: by the rank correlation of what it said of trials held out with what they
    reached (1: in their order, 0: as chance would), and how often chance alone would reach that.
    """

    rank_correlation: float
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether the model says more than chance."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Importance:
    """The share of the variance that goes with a kind of choice, its 95 % interval, and how often chance alone would
    show as much.
    """

    kind: str
    importance: float
    importance_low: float
    importance_high: float
    p_value: float


def ranked(accuracies: Sequence[float]) -> Floats:
    """Standard scores of the accuracies' ranks: by how much a network failed to learn says little of the others."""
    found: Floats = ndtri((rankdata(accuracies) - 0.5) / len(accuracies))
    return found


def believed(features: Floats, values: Floats) -> Belief:
    """How well a forest over features (N, D) ranks the trials that it has not seen."""
    told = np.zeros(len(values))
    for model, _, test in _forests(features, values):
        told[test] = model(features[test])
    return belief(told, values)


def belief(told: Floats, values: Floats) -> Belief:
    """The rank correlation of what was told of trials held out with what they reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        found = spearmanr(told, values, alternative="greater")
    if np.isnan(found.statistic):
        return Belief(0.0, 1.0)
    return Belief(float(found.statistic), float(found.pvalue))


def importances(table: ChoiceTable, values: Floats) -> tuple[Belief, list[Importance]]:
    """How far the forest over the choices can be believed, and what goes with each kind, the most first."""
    generator = np.random.default_rng(0)
    told = np.zeros(len(values))
    lost = np.zeros((len(table.kinds), len(values)))
    for model, train, test in _forests(table.encoded(table.codes), values):
        asked = [table.codes[test], *(_replaced(table, kind, train, test, generator) for kind in table.kinds)]
        found = model(table.encoded(np.vstack(asked)))
        told[test] = found[: len(test)]
        errors = (found.reshape(-1, len(test)) - values[test]) ** 2
        lost[:, test] = errors[1:].reshape(-1, REPLACEMENTS, len(test)).mean(axis=1) - errors[0]
    shares = lost / (2 * values.var())
    rows = [_importance(kind, share) for kind, share in zip(table.kinds, shares, strict=True)]
    return belief(told, values), sorted(rows, key=lambda one: -one.importance)


def _importance(kind: str, shares: Floats) -> Importance:
    """The mean over the trials, with Student's interval and one-sided test."""
    count, mean = len(shares), float(shares.mean())
    error = float(shares.std(ddof=1)) / count**0.5
    half = float(stdtrit(count - 1, 0.975)) * error
    p_value = 1.0 if error == 0.0 else float(stdtr(count - 1, -mean / error))
    return Importance(kind, mean, mean - half, mean + half, p_value)


Model = Callable[[Floats], Floats]
Rows = NDArray[np.intp]


def _forests(features: Floats, values: Floats) -> Iterator[tuple[Model, Rows, Rows]]:
    """For each fold a forest fitted without it, the rows it was fitted to, and those of the fold."""
    for train, test in KFold(min(FOLDS, len(values)), shuffle=True, random_state=0).split(features):
        forest = ExtraTreesRegressor(TREES, min_samples_leaf=SMALLEST_LEAF, random_state=0)
        yield forest.fit(features[train], values[train]).predict, train, test


def _replaced(table: ChoiceTable, kind: str, train: Rows, test: Rows, generator: np.random.Generator) -> Floats:
    """(REPLACEMENTS · test, C): the rows of the fold with each choice of a kind as in some other trial that has it."""
    codes = np.tile(table.codes[test], (REPLACEMENTS, 1))
    for head in table.places(kind):
        donors = train[~np.isnan(table.codes[train, head])]
        having = np.flatnonzero(~np.isnan(codes[:, head]))
        if len(donors) and len(having):
            taken = generator.choice(donors, len(having))
            for column in table.brought(head):
                codes[having, column] = table.codes[taken, column]
    return codes


def correlations(costs: Mapping[str, Sequence[float]], values: Floats) -> dict[str, tuple[float, float]]:
    """The rank correlation of each cost with the accuracies, and how often chance alone brings one as far from 0.

    (0, 1) of a cost that does not vary.
    """
    found = {}
    for name, column in costs.items():
        if len(set(column)) < 2:
            found[name] = (0.0, 1.0)
            continue
        told = spearmanr(column, values)
        found[name] = (float(told.statistic), float(told.pvalue))
    return found
