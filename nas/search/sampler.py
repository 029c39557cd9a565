"""Our own sampler: a start by cost, then by turns a model of what is known and the neighbours of the best."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.search.drawing import Drawing, Point, drawn, flat, neighbours, pointed, values_of
from nas.search.surrogate import Encoder, Floats, Surrogate, stacked, standard

BAND = 0.9
"""The start looks among points that cost at least this share of the tightest limit."""

MOST_MACS, EDITS, DRAWN = 1, 10, 2
"""The start: so many of most multiply-adds, so many edits of the first of them, so many drawn at random."""

LOCAL_EVERY = 2
"""Then one ask in so many is for a neighbour of the best, which a model that is wrong cannot lead astray."""

POOL, DRAWS, FRESH = 1_500, 6_000, 2
"""So many points stand by, of at most so many draws, and with each ask come so many new ones."""

IN_BAND = 20
"""With fewer points in the band all within the limits stand by."""

PARENTS, FROM_PARENTS, FROM_POOL, FROM_TOP = 5, 120, 60, 40
"""The candidates of the model: neighbours of the best few, points standing by, and those of most macs among them."""

REMEMBERED = 100
"""The model is built on so many of the best trainings and as many of the latest: its cost does not grow."""

STEPS_UP = 30
"""So many edits may lead from a drawn point to one of most macs."""

Costs = Mapping[str, float]


@dataclass(frozen=True)
class Made:
    """What a draw becomes before it is trained (as drawn, where nothing changes it), and what that costs."""

    named: Mapping[str, Any]
    costs: Costs


Make = Callable[[Mapping[str, Any]], Made | None]
"""What a draw becomes; None where nothing can be made of it."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A point as made, with its costs, the share of the tightest limit that it takes, and its place for the model."""

    point: Point
    costs: Costs
    use: float
    order: float
    vector: Floats

    @property
    def key(self) -> Hashable:
        return self.point.key


class BudgetSampler(BaseSampler):
    """Proposes points within limits on their costs, none twice, for any space of categorical and integer choices.

        sampler = BudgetSampler(space, cost=lambda params: {"params": …, "macs": …}, limits={"params": 20_000})
        study = optuna.create_study(direction="maximize", sampler=sampler)

    `space`: distributions by name, or a function that asks whatever it is given for its choices as an objective asks a
    trial; None: what the trials before have in common. `cost` tells costs by name, `macs` among them where it can;
    `make`, instead, also says what a draw becomes. Nothing over a limit is proposed as long as something else is found.
    """

    def __init__(
        self,
        space: Drawing | Mapping[str, BaseDistribution] | None = None,
        *,
        cost: Callable[[Mapping[str, Any]], Costs] | None = None,
        make: Make | None = None,
        limits: Costs | None = None,
        seed: int = 0,
    ) -> None:
        self.draw = flat(space) if isinstance(space, Mapping) else space
        self.make: Make = make or (lambda named: Made(named, cost(named) if cost else {}))
        self.limits = dict(limits or {})
        self.seed_with(seed)
        self.encoder, self.surrogate = Encoder(), Surrogate()
        self.pool: list[_Seen] = []
        self.made: dict[Hashable, _Seen | None] = {}
        self.around: dict[Hashable, list[_Seen]] = {}
        self.results: dict[Hashable, tuple[_Seen, float]] = {}
        """What is known of points, in the order of their ends."""
        self.taken: set[Hashable] = set()
        self.read = 0
        self.open: list[int] = []
        self.choice: Point | None = None

    def seed_with(self, seed: int) -> None:
        """Draw other numbers from now on."""
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)

    def reseed_rng(self) -> None:
        """Draw other numbers than the process that this one was copied from."""
        self.seed_with(random.SystemRandom().randrange(2**31))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Read what became of the trials, and choose a point."""
        if self.draw is None:
            common = IntersectionSearchSpace().calculate(study)
            self.draw = flat(common) if common else None
        self._read(study, trial.number)
        seen = self._chosen() if self.draw else None
        self.choice = seen.point if seen else None
        if seen:
            self.taken.add(seen.key)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the point chosen was drawn from."""
        return dict(self.choice.distributions) if self.choice else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The point chosen."""
        return dict(self.choice.named) if self.choice else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Any value, for what is not in the space."""
        return self.random.choice(values_of(param_distribution, param_name))

    def _read(self, study: Study, own: int) -> None:
        """Take in the trials that are new or have ended since; points of those under way count as taken."""
        trials = study.get_trials(deepcopy=False)
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        still = []
        for number in [*self.open, *range(self.read, len(trials))]:
            if number == own:
                still.append(number)
                continue
            trial = trials[number]
            seen = self._look(trial.params) if self.draw else None
            if not trial.state.is_finished():
                still.append(number)
            if seen is None:
                continue
            self.taken.add(seen.key)
            value = _value(trial)
            if trial.state.is_finished() and value is not None:
                self.results[seen.key] = (seen, sign * value)
        self.open, self.read = still, max(self.read, len(trials))

    def _look(self, named: Mapping[str, Any]) -> _Seen | None:
        """What a draw becomes and costs; None where nothing, or it is no draw of the space."""
        assert self.draw is not None
        key = tuple(named.items())
        if key not in self.made:
            made = self.make(named)
            point = None if made is None else pointed(self.draw, made.named)
            self.made[key] = None if made is None or point is None else self._seen(point, made.costs)
        return self.made[key]

    def _seen(self, point: Point, costs: Costs) -> _Seen:
        use = max((costs[name] / limit for name, limit in self.limits.items()), default=1.0)
        order = costs.get("macs", next(iter(costs.values()), 0.0))
        return _Seen(point, costs, use, order, self.encoder.vector(point))

    def _chosen(self) -> _Seen | None:
        """A point within the limits that is not taken; None where none is found."""
        self._fill()
        count = len(self.taken)
        found = None
        if count < MOST_MACS:
            found = next(iter(self._new(self.pool)), None)
        elif count < MOST_MACS + EDITS:
            found = self._any(self._around(self.pool[0])) if self.pool else None
        elif count >= MOST_MACS + EDITS + DRAWN and self.results:
            found = self._beside_the_best() if count % LOCAL_EVERY == 1 else None
            found = found or self._of_model()
        return found or self._any(self.pool) or self._beside_the_best() or self._of_draws()

    def _new(self, points: Sequence[_Seen]) -> Iterator[_Seen]:
        return (one for one in points if one.use <= 1 and one.key not in self.taken)

    def _any(self, points: Sequence[_Seen]) -> _Seen | None:
        new = list(self._new(points))
        return self.random.choice(new) if new else None

    def _of_draws(self) -> _Seen | None:
        """A new point by drawing alone."""
        found = (self._drawn() for _ in range(FRESH * 100))
        return next((one for one in found if one and one.use <= 1 and one.key not in self.taken), None)

    def _drawn(self) -> _Seen | None:
        assert self.draw is not None
        return self._look(drawn(self.draw, self.random).named)

    def _fill(self) -> None:
        """Have points stand by, those of most macs first: those in the band, or all within the limits if few are."""
        if self.pool:
            found = [self._drawn() for _ in range(FRESH)]
            least = min(one.use for one in self.pool)
            self._stand_by(one for one in found if one and least <= one.use <= 1)
            return
        points: dict[Hashable, _Seen] = {}
        for _ in range(DRAWS):
            one = self._drawn()
            if one is not None and one.use <= 1:
                points[one.key] = one
            if len(points) == POOL:
                break
        band = [one for one in points.values() if one.use >= BAND]
        self._stand_by(band if len(band) >= IN_BAND else points.values())
        if self.pool:
            self._stand_by([self._climbed(self.pool[0])])

    def _stand_by(self, points: Any) -> None:
        known = {one.key for one in self.pool}
        new = {one.key: one for one in points if one.key not in known}
        if new:
            self.pool = sorted([*self.pool, *new.values()], key=lambda one: -one.order)
            while len(self.pool) > POOL + len(new):
                # Those of most macs stay.
                del self.pool[self.random.randrange(FROM_TOP, len(self.pool))]

    def _climbed(self, one: _Seen) -> _Seen:
        """The point that is reached by ever the edit that brings most macs."""
        for _ in range(STEPS_UP):
            top = max(self._around(one), key=lambda other: other.order, default=one)
            if top.order <= one.order:
                break
            one = top
        return one

    def _around(self, one: _Seen) -> list[_Seen]:
        """The points within the limits that are one edit away, as made."""
        assert self.draw is not None
        if one.key not in self.around:
            looked = (self._look(other.named) for other in neighbours(self.draw, one.point, self.random))
            found = {other.key: other for other in looked if other is not None and other.use <= 1}
            found.pop(one.key, None)
            self.around[one.key] = list(found.values())
        return self.around[one.key]

    def _best(self, count: int) -> list[_Seen]:
        ordered = sorted(self.results.values(), key=lambda one: -one[1])
        return [seen for seen, _ in ordered[:count]]

    def _beside_the_best(self) -> _Seen | None:
        """Of the neighbours of the best that has new ones, the one of most macs."""
        for one in self._best(REMEMBERED):
            new = list(self._new(self._around(one)))
            if new:
                return max(new, key=lambda other: other.order)
        return None

    def _of_model(self) -> _Seen | None:
        """The best of the candidates in one draw of the model."""
        wanted = self._candidates()
        if not wanted:
            return None
        known = self._remembered()
        names = [name for name in ("macs", "depth") if name in wanted[0].costs] or list(wanted[0].costs)[:1]
        middle, spread = standard([one.costs for one in self.pool or wanted], names)
        places = [self._places([seen for seen, _ in known], names, middle, spread)]
        places.append(self._places(wanted, names, middle, spread))
        values = np.array([value for _, value in known])
        mean, covariance = self.surrogate.posterior(places[0], values, places[1], len(wanted[0].point.named))
        covariance[np.diag_indices_from(covariance)] += 1e-4
        draw = mean + np.linalg.cholesky(covariance) @ self.numbers.standard_normal(len(wanted))
        return wanted[int(np.argmax(draw))]

    def _places(
        self, points: Sequence[_Seen], names: list[str], middle: Floats, spread: Floats
    ) -> tuple[Floats, Floats]:
        """The points for the model: their choices, and their costs as standard scores."""
        costs = np.log([[max(1.0, one.costs[name]) for name in names] for one in points]).reshape(len(points), -1)
        return stacked([one.vector for one in points], self.encoder.size), (costs - middle) / spread

    def _candidates(self) -> list[_Seen]:
        near = {other.key: other for one in self._best(PARENTS) for other in self._new(self._around(one))}
        beside = self._some(list(near.values()), FROM_PARENTS)
        top = self.pool[:FROM_TOP]
        found = [*beside, *self._new(top), *self._new(self._some(self.pool[FROM_TOP:], FROM_POOL))]
        return list({one.key: one for one in found}.values())

    def _some(self, points: list[_Seen], count: int) -> list[_Seen]:
        return points if len(points) <= count else self.random.sample(points, count)

    def _remembered(self) -> list[tuple[_Seen, float]]:
        """The best and the latest of what is known."""
        known = list(self.results.values())
        if len(known) <= 2 * REMEMBERED:
            return known
        best = sorted(known[:-REMEMBERED], key=lambda one: -one[1])[:REMEMBERED]
        return [*best, *known[-REMEMBERED:]]


def _value(trial: FrozenTrial) -> float | None:
    """The value of a trial; of a pruned one the last it reported."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    last = max(trial.intermediate_values, default=None)
    return None if last is None else trial.intermediate_values[last]
