"""A Gaussian process over choices and costs: what is to be expected of a network, and how sure that is.

Two networks are alike by the choices they share (a categorical choice is shared or not, an ordered one by its distance)
and by their costs. The expectation before anything is known is that more multiply-adds are better; how far that holds
the trainings say themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtr, ndtri

from nas.search.drawing import Point, place_of, values_of

Floats = NDArray[np.float64]

MOST_LEVELS = 32
"""Ordered values are told apart as so many levels."""

SPREAD = 1.5
"""The distance of the first from the last of ordered values; of two categories it is 1."""

LEAST_VARIANCE = 1e-9
"""Less is rounding."""

MOST_COST = 1e300
"""Of what costs more the logarithm is that of this."""

FIRST_FIT = 10
"""From so many trainings on the process is fitted to them; before, it is as experience has it."""

_ALIKE = ((0.25, 0.0), (0.25, 0.4), (0.5, 0.4), (1.0, 0.4), (0.5, 0.8), (1.0, 0.8))
_NOISE = (0.01, 0.05, 0.2, 0.5)
_TREND = (0.0, 0.5, 1.0)
_OFFSET, _SLOPES = 0.3, 0.25
_BELIEF = 0.5
"""Standard deviations of accuracy that one of log-macs is believed to bring, before it is fitted."""


class Encoder:
    """Points as vectors (D,), whose squared distance counts the choices in which two differ.

    A choice that only one of two points has counts half. Names get their places as they turn up, another one for each
    number of values.
    """

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], int] = {}
        self.size = 0

    def vector(self, point: Point) -> Floats:
        """The vector of a point, as long as is known by now: what comes later is zero in it."""
        levels = {name: _levels(distribution) for name, distribution in point.distributions.items()}
        for place in levels.items():
            if place not in self.places:
                self.places[place] = self.size
                self.size += 1 + place[1]
        found = np.zeros(self.size)
        for name, distribution in point.distributions.items():
            _put(found[self.places[name, levels[name]] :], distribution, point.named[name])
        return found


def _levels(distribution: BaseDistribution) -> int:
    values = values_of(distribution)
    return len(values) if isinstance(distribution, CategoricalDistribution) else min(MOST_LEVELS, len(values) - 1)


def _put(found: Floats, distribution: BaseDistribution, value: Any) -> None:
    """Half a choice for having it and half for the category; an ordered one has a level for each step up instead."""
    if isinstance(distribution, CategoricalDistribution):
        found[values_of(distribution).index(value)] = np.sqrt(0.5)
        return
    levels = _levels(distribution)
    found[0] = np.sqrt(0.5)
    found[1 : 1 + round(place_of(distribution, value) * levels)] = np.sqrt(SPREAD / max(1, levels))


def stacked(vectors: list[Floats], encoder: Encoder) -> Floats:
    """Vectors of an encoder as one matrix (N, D), with zeros for the names that turned up after them."""
    found = np.zeros((len(vectors), encoder.size))
    for row, vector in zip(found, vectors, strict=True):
        row[: len(vector)] = vector
    return found


@dataclass(frozen=True)
class Setting:
    """What is fitted: how fast likeness falls with distance, the share of it that adds up choice by choice, the noise,
    and the share of the trend along macs."""

    fall: float = 0.5
    additive: float = 0.5
    noise: float = 0.05
    trend: float = 1.0


@dataclass
class Surrogate:
    """The process, fitted anew whenever the trainings have grown by a fifth."""

    setting: Setting = field(default_factory=Setting)
    fitted: int = 0

    def posterior(
        self, known: tuple[Floats, Floats], values: Floats, wanted: tuple[Floats, Floats], choices: float
    ) -> tuple[Floats, Floats]:
        """Mean (M,) and covariance (M, M) of wanted points, in standard scores of the values' ranks.

        A point is its vector (…, D) and its costs as standard scores (…, F), macs first; `choices`: how many choices a
        point has.
        """
        return self.of_scores(known, ranked_scores(values), wanted, choices)

    def improvement(
        self, known: tuple[Floats, Floats], values: Floats, wanted: tuple[Floats, Floats], choices: float
    ) -> Floats:
        """By how much each wanted point (M,) is expected to surpass the best value, in standard scores of ranks."""
        scores = ranked_scores(values)
        mean, variance = self.of_scores(known, scores, wanted, choices, joint=False)
        deviation = np.sqrt(np.maximum(variance, LEAST_VARIANCE))
        above = (mean - scores.max()) / deviation
        found: Floats = deviation * (above * ndtr(above) + np.exp(-0.5 * above**2) / np.sqrt(2 * np.pi))
        return found

    def of_scores(
        self,
        known: tuple[Floats, Floats],
        scores: Floats,
        wanted: tuple[Floats, Floats],
        choices: float,
        *,
        joint: bool = True,
    ) -> tuple[Floats, Floats]:
        """The same of standard scores that are not ranks, in units of these; not `joint`: variances (M,) alone."""
        pairs = _Pairs.between(known, known, choices)
        if len(scores) >= FIRST_FIT and len(scores) >= 1.2 * self.fitted:
            self.setting, self.fitted = _fit(pairs, known[1], scores), len(scores)
        setting = self.setting
        factor, scaled, scale = _solved(setting, pairs, known[1], scores)
        across = _Pairs.between(wanted, known, choices).likeness(setting)
        half = solve_triangular(factor, across.T, lower=True, check_finite=False)
        mean = across @ scaled + _trend(setting, wanted[1])
        if joint:
            return mean, scale * (_Pairs.between(wanted, wanted, choices).likeness(setting) - half.T @ half)
        return mean, scale * (_Pairs.with_itself(wanted, choices).likeness(setting) - (half**2).sum(0))


@dataclass(frozen=True)
class _Pairs:
    """Of pairs of points (N, M): the share of choices in common, squared distances, and products of their costs."""

    shared: Floats
    apart: Floats
    slopes: Floats
    near: dict[float, Floats] = field(default_factory=dict)
    """How near they are, by how fast that falls with distance."""

    @classmethod
    def between(cls, ones: tuple[Floats, Floats], others: tuple[Floats, Floats], choices: float) -> _Pairs:
        """Each one with each other one."""
        (a, a_costs), (b, b_costs) = ones, others
        shared: Floats = 2 * (a @ b.T)
        apart = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - shared, 0.0)
        return cls(shared / choices, apart, a_costs @ b_costs.T)

    @classmethod
    def with_itself(cls, ones: tuple[Floats, Floats], choices: float) -> _Pairs:
        """Each one with itself alone (N,)."""
        a, costs = ones
        return cls(2 * (a**2).sum(1) / choices, np.zeros(len(a)), (costs**2).sum(1))

    def likeness(self, setting: Setting) -> Floats:
        """The covariance of what two points reach, but for its scale."""
        if setting.fall not in self.near:
            self.near[setting.fall] = np.exp(-setting.fall * self.apart)
        alike = setting.additive * self.shared + (1 - setting.additive) * self.near[setting.fall]
        return (1 - setting.noise) * alike + _SLOPES * setting.trend * self.slopes + _OFFSET


def _fit(pairs: _Pairs, costs: Floats, scores: Floats) -> Setting:
    """The setting under which the values are likeliest."""
    settings = [Setting(*alike, noise, trend) for alike, noise, trend in product(_ALIKE, _NOISE, _TREND)]
    return max(settings, key=lambda one: _likelihood(one, pairs, costs, scores))


def _likelihood(setting: Setting, pairs: _Pairs, costs: Floats, scores: Floats) -> float:
    factor, _, scale = _solved(setting, pairs, costs, scores)
    log_scale = float(np.log(scale))
    return -0.5 * len(scores) * log_scale - float(np.log(np.diag(factor)).sum()) - 0.5 * log_scale**2


def _solved(setting: Setting, pairs: _Pairs, costs: Floats, scores: Floats) -> tuple[Floats, Floats, float]:
    """Cholesky's factor (N, N) of the likeness of what is known, its inverse times the values, their scale."""
    covariance = pairs.likeness(setting)
    covariance[np.diag_indices_from(covariance)] += setting.noise
    factor = cholesky(covariance, lower=True, check_finite=False)
    rest = scores - _trend(setting, costs)
    scaled = cho_solve((factor, True), rest, check_finite=False)
    return factor, scaled, (float(rest @ scaled) + 2) / (len(scores) + 2)


def _trend(setting: Setting, costs: Floats) -> Floats:
    if costs.shape[1] == 0:
        return np.zeros(len(costs))
    return setting.trend * _BELIEF * np.clip(costs[:, 0], -2.5, 2.5)


def ranked_scores(values: Floats) -> Floats:
    """Standard scores of the ranks, equals alike: how far values lie apart says little, since some hardly learn."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - count / 2)[place]
    found: Floats = ndtri(ranks / len(values))
    return found


def logarithms(costs: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    """The logarithms (N, F) of costs by name; of those under 1, or that are no number, it is 0."""
    return np.log([[min(max(1.0, one[name]), MOST_COST) for name in names] for one in costs]).reshape(
        len(costs), len(names)
    )
