"""What our own sampler's model chooses of some points, by what others reached."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas.search.common import Common, Floats
from nas.search.points import Points, Seen
from nas.search.surrogate import Surrogate

LEAST_SPREAD, FURTHEST = 1e-6, 5.0
"""A deviation of trends is at least the first; none lies more of them from the mean than the second."""

DIGITS = 5
"""So many digits of what may be surpassed are told apart."""

Result = tuple[Seen, float]
"""A point and what it reached; more is better."""


class Model:
    """The surrogate, and what it is told of points."""

    def __init__(self) -> None:
        self.surrogate, self.common = Surrogate(), Common()
        self.usual: tuple[Floats, Floats] | None = None
        """Mean and deviation of the trends among the points told of and those standing by, at the first use."""

    def chosen(
        self,
        points: Points,
        known: Sequence[Result],
        wanted: Sequence[Seen],
        turns: Sequence[bool],
        generator: np.random.Generator,
    ) -> list[Seen]:
        """One for each turn, as many as there are: whether what may surpass the best most, or the best of a draw."""
        posterior = self.surrogate.posterior(*self.told(points, known, wanted))
        chosen: list[int] = []
        for surpassing in turns[: len(wanted)]:
            merit = posterior.improvement() if surpassing else posterior.drawn(generator)
            merit[chosen] = -math.inf
            chosen.append(int(np.argmax(rounded(merit) if surpassing else merit)))
        return [wanted[place] for place in chosen]

    def told(
        self, points: Points, known: Sequence[Result], wanted: Sequence[Seen]
    ) -> tuple[Floats, Floats, Floats, int]:
        """What the surrogate is told of points known, then of those wanted: what they have in common, their costs, what
        is known, and how many choices a point has.
        """
        everything = [*(seen for seen, _ in known), *wanted]
        trends = np.array([one.trends[points.by] for one in everything])
        if self.usual is None:
            usual = np.array([*(one.trends[points.by] for one in points.pool), *trends])
            self.usual = usual.mean(0), usual.std(0) + LEAST_SPREAD
        middle, spread = self.usual

        common = self.common.of([(one.key, one.compared) for one in everything])
        costs = np.clip((trends - middle) / spread, -FURTHEST, FURTHEST)
        values, choices = np.array([value for _, value in known]), max(len(one.compared.named) for one in wanted)
        return common, costs, values, choices


def rounded(merit: Floats) -> Floats:
    """As far as it is not rounding's: edits of like choices are equal at first, and none is to come before others."""
    return np.round(merit / (float(merit.max()) or 1.0), DIGITS)
