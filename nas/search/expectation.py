"""What may be expected of networks that nobody trained, from a study's complete trials, and how sure that is.

The surrogate's expectation, of accuracies and not of their ranks. What is told is the difference to what is expected of
another network, not to what that happened to reach: the best of many is on average a lucky one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from sklearn.model_selection import KFold

from nas.arch.record import TrialRecord, Value
from nas.search.choices import chosen, stage_blocks
from nas.search.common import Common, Floats
from nas.search.drawing import Point, replayed
from nas.search.importance import FOLDS, Belief, belief
from nas.search.pooled import Pooled
from nas.search.surrogate import Surrogate, logarithms
from nas.study.space import Space

MOST_KNOWN = 150
"""The model is built on so many of the best trials and as many of the latest."""

FENCE = 1.5
"""Scores further below the lower quartile than so many interquartile ranges count as lying there."""

_TOLD = ("macs", "depth")
_TWO_SIDED = float(ndtri(0.975))


def scores(accuracies: Sequence[float]) -> Floats:
    """Accuracies as the arcsines of their square roots, in which errors of chance are alike at 80 and at 99 %.

    Those far below all others are raised to Tukey's fence: by how much such networks failed says little. Source of the
    transform: Bartlett, Supplement to the Journal of the Royal Statistical Society 3, 1936.
    """
    values: Floats = np.arcsin(np.sqrt(np.clip(accuracies, 0.0, 1.0)))
    low, high = np.quantile(values, (0.25, 0.75))
    return values if low == high else np.maximum(values, low - FENCE * (high - low))


def accuracy_of(score: Floats) -> Floats:
    """The accuracies of scores."""
    found: Floats = np.sin(np.clip(score, 0.0, np.pi / 2)) ** 2
    return found


class Network(NamedTuple):
    """A network by its choices, as the params of a trial name them, and its multiply-adds."""

    named: Mapping[str, Value]
    macs: int


class Difference(NamedTuple):
    """The expected accuracy less that of another network, and its 95 % interval.

    It is of what a training reaches on average: one training is up to chance beside.
    """

    difference: float
    low: float
    high: float


class Expectation:
    """What the surrogate makes of complete trials, those left out that the space no longer draws."""

    def __init__(self, space: Space, trials: Sequence[TrialRecord]) -> None:
        self.space, self.pooled = space, Pooled(space)
        drawn = [(one, point) for one in _remembered(trials) if (point := self._point(one.params)) is not None]
        self.known = [self._placed(point, one.totals.macs) for one, point in drawn]
        self.scores = scores([one.accuracy or 0.0 for one, _ in drawn]) if drawn else np.zeros(0)

    def _point(self, named: Mapping[str, Value]) -> Point | None:
        """What the space draws of the choices; other names, as a changed database may have, are left out."""
        try:
            return replayed(self.space.draw, named)[1]
        except ValueError:
            return None

    def belief(self) -> Belief:
        """How well the surrogate ranks the trials that it is not shown."""
        (common, costs), standard = self._at(self.known), self._standard()
        told = np.zeros(len(self.known))
        for train, test in KFold(min(FOLDS, len(told)), shuffle=True, random_state=0).split(told):
            rows = np.concatenate([train, test])
            among = common[np.ix_(rows, rows)]
            told[test] = Surrogate().of_scores(among, costs[rows], standard[train], _choices(self.known)).mean
        return belief(told, self.scores)

    def differences(self, own: Network, others: Sequence[Network]) -> tuple[float, list[Difference]]:
        """The accuracy to be expected of one's own network, and by how much that of each of the others is higher."""
        asked = [(replayed(self.space.draw, one.named)[1], one.macs) for one in (own, *others)]
        placed = [*self.known, *(self._placed(*one) for one in asked)]
        found = Surrogate().of_scores(*self._at(placed), self._standard(), _choices(placed))
        mean, covariance = found.mean, found.covariance
        variances = np.diag(covariance)[1:] + covariance[0, 0] - 2 * covariance[0, 1:]
        halves = _TWO_SIDED * np.sqrt(np.maximum(variances, 0.0))
        middle, unit = self.scores.mean(), self.scores.std()
        expected = float(accuracy_of(middle + unit * mean[0]))
        beside = middle + unit * np.stack([mean[1:], mean[1:] - halves, mean[1:] + halves])
        return expected, [Difference(*row) for row in (accuracy_of(beside) - expected).T.tolist()]

    def _standard(self) -> Floats:
        found: Floats = (self.scores - self.scores.mean()) / (self.scores.std() or 1.0)
        return found

    def _placed(self, point: Point, macs: int) -> _Placed:
        blocks = sum(stage_blocks(chosen(point.named, self.space.blocks)).values())
        return _Placed(self.pooled.compared(point), {"macs": float(macs), "depth": float(blocks)})

    def _at(self, placed: Sequence[_Placed]) -> tuple[Floats, Floats]:
        """What they have in common, and their costs as standard scores among the trials."""
        common = Common().of([(place, one.point) for place, one in enumerate(placed)])
        usual = logarithms([one.costs for one in self.known], _TOLD)
        told = logarithms([one.costs for one in placed], _TOLD)
        return common, (told - usual.mean(0)) / (usual.std(0) + 1e-9)


class _Placed(NamedTuple):
    """Where a network stands for the model: its choices, its macs, and its depth in blocks."""

    point: Point
    costs: Mapping[str, float]


def _choices(placed: Sequence[_Placed]) -> int:
    return max(len(one.point.named) for one in placed)


def _remembered(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best and the latest, in the order of their numbers."""
    best = sorted(trials, key=lambda one: -(one.accuracy or 0.0))[:MOST_KNOWN]
    latest = sorted(trials, key=lambda one: -one.number)[:MOST_KNOWN]
    return sorted({one.number: one for one in [*best, *latest]}.values(), key=lambda one: one.number)
