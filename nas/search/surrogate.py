"""A Gaussian process over choices and costs: what is to be expected of a network, and how sure that is.

Two networks are alike by the choices they share (a categorical choice is shared or not, an ordered one by its distance)
and by their costs. The expectation before anything is known is that more multiply-adds are better; how far that holds
the trainings say themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtr, ndtri

from nas.search.common import Floats

MOST_COST = 1e300
"""Of what costs more the logarithm is that of this."""

FIRST_FIT = 10
"""From so many trainings on the process is fitted to them; before, it is as experience has it."""

JITTER = 1e-8
"""Added to the variances of what is wanted, so that rounding leaves them positive; trainings vary by far more."""

_ALIKE = ((0.25, 0.0), (0.25, 0.4), (0.5, 0.4), (1.0, 0.4), (0.5, 0.8), (1.0, 0.8))
_NOISE = (0.01, 0.05, 0.2, 0.5)
_TREND = (0.0, 0.5, 1.0)
_OFFSET, _SLOPES = 0.3, 0.25
_BELIEF = 0.5
"""Standard deviations of accuracy that one of log-macs is believed to bring, before it is fitted."""


@dataclass(frozen=True)
class Setting:
    """What is fitted: how fast likeness falls with distance, the share of it that adds up choice by choice, the noise,
    and the share of the trend along macs."""

    fall: float = 0.5
    additive: float = 0.5
    noise: float = 0.05
    trend: float = 1.0


@dataclass(frozen=True)
class Posterior:
    """What is expected of wanted points, in standard scores: the mean (M,), and a root (M, M), lower triangular, of
    their covariance; `best` is the best score known."""

    mean: Floats
    root: Floats
    best: float

    @property
    def covariance(self) -> Floats:
        """Of each with each other (M, M)."""
        return self.root @ self.root.T

    def improvement(self) -> Floats:
        """By how much each (M,) is expected to surpass the best."""
        deviation = np.sqrt(np.einsum("ij,ij->i", self.root, self.root))
        above = (self.mean - self.best) / deviation
        found: Floats = deviation * (above * ndtr(above) + np.exp(-0.5 * above**2) / np.sqrt(2 * np.pi))
        return found

    def drawn(self, generator: np.random.Generator) -> Floats:
        """One possibility (M,) of what they reach."""
        found: Floats = self.mean + self.root @ generator.standard_normal(len(self.mean))
        return found


@dataclass
class Surrogate:
    """The process, fitted anew whenever the trainings have grown by a fifth."""

    setting: Setting = field(default_factory=Setting)
    fitted: int = 0

    def posterior(self, common: Floats, costs: Floats, values: Floats, choices: float) -> Posterior:
        """What is expected of points, in standard scores of the values' ranks.

        Of N points the first K are known, with their values (K,), the other M wanted. `common` (N, N) is what they have
        in common (`nas.search.common`), `costs` (N, F) are theirs as standard scores, macs first; `choices`: how many
        choices a point has.
        """
        return self.of_scores(common, costs, ranked_scores(values), choices)

    def of_scores(self, common: Floats, costs: Floats, scores: Floats, choices: float) -> Posterior:
        """The same of standard scores that are not ranks, in units of these."""
        pairs, count = _Pairs.of(common, costs, choices), len(scores)
        known, wanted = slice(count), slice(count, None)
        if count >= FIRST_FIT and count >= 1.2 * self.fitted:
            self.setting, self.fitted = _fit(pairs.among(known), costs[known], scores), count
        setting = self.setting
        # The factor of all points tells of the wanted ones what is left to chance once the known ones are known.
        factor = _factor(pairs.likeness(setting), np.where(np.arange(len(costs)) < count, setting.noise, JITTER))
        rest, scale = _solved(factor[known, known], setting, costs[known], scores)
        mean = factor[wanted, known] @ rest + _trend(setting, costs[wanted])
        return Posterior(mean, np.sqrt(scale) * factor[wanted, wanted], float(scores.max()))


@dataclass(frozen=True)
class _Pairs:
    """Of pairs of points (N, N): the share of choices in common, squared distances, and products of their costs."""

    shared: Floats
    apart: Floats
    slopes: Floats
    near: dict[float, Floats] = field(default_factory=dict)
    """How near they are, by how fast that falls with distance."""

    @classmethod
    def of(cls, common: Floats, costs: Floats, choices: float) -> _Pairs:
        """Each point with each other one."""
        own = np.diag(common) / 2
        return cls(common / choices, own[:, None] + own - common, costs @ costs.T)

    def among(self, some: slice) -> _Pairs:
        """The pairs of some of them."""
        return _Pairs(self.shared[some, some], self.apart[some, some], self.slopes[some, some])

    def likeness(self, setting: Setting) -> Floats:
        """The covariance of what two points reach, but for its scale."""
        if setting.fall not in self.near:
            self.near[setting.fall] = np.exp(-setting.fall * self.apart)
        kept = 1 - setting.noise
        found = kept * (1 - setting.additive) * self.near[setting.fall]
        found += kept * setting.additive * self.shared
        found += _SLOPES * setting.trend * self.slopes + _OFFSET
        return found


def _fit(pairs: _Pairs, costs: Floats, scores: Floats) -> Setting:
    """The setting under which the values are likeliest."""
    settings = [Setting(*alike, noise, trend) for alike, noise, trend in product(_ALIKE, _NOISE, _TREND)]
    return max(settings, key=lambda one: _likelihood(one, pairs, costs, scores))


def _likelihood(setting: Setting, pairs: _Pairs, costs: Floats, scores: Floats) -> float:
    factor = _factor(pairs.likeness(setting), setting.noise)
    log_scale = float(np.log(_solved(factor, setting, costs, scores)[1]))
    return -0.5 * len(scores) * log_scale - float(np.log(np.diag(factor)).sum()) - 0.5 * log_scale**2


def _factor(likeness: Floats, variances: Floats | float) -> Floats:
    """Cholesky's factor (N, N) of what points reach, given their likeness, overwritten, and variances of their own."""
    likeness[np.diag_indices_from(likeness)] += variances
    # The transpose is the same, and lies in memory as LAPACK wants it.
    found: Floats = cholesky(likeness.T, lower=True, overwrite_a=True, check_finite=False)
    return found


def _solved(factor: Floats, setting: Setting, costs: Floats, scores: Floats) -> tuple[Floats, float]:
    """The inverse of the factor times what the trend leaves of the scores of what is known, and their scale."""
    rest: Floats = solve_triangular(factor, scores - _trend(setting, costs), lower=True, check_finite=False)
    return rest, (float(rest @ rest) + 2) / (len(scores) + 2)


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
    return np.log([[float(min(max(1.0, one[name]), MOST_COST)) for name in names] for one in costs]).reshape(
        len(costs), len(names)
    )
