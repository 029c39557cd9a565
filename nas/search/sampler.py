"""Our own sampler: points of the highest order, edits of the first, and a model's choice of neighbours, by turns."""

from __future__ import annotations

import math
import random
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.search.drawing import Drawing, any_of, flat
from nas.search.memory import rank_correlation
from nas.search.model import Model, Result
from nas.search.points import FROM_TOP, Alike, Costs, Made, Make, Points, Seen
from nas.search.pooled import with_means
from nas.search.reading import Reading

FIRST_IN_ORDER = 3
"""The search begins with so many points of the highest order."""

EARLY = 37
"""Of so many points after these every other one is an edit of that of the highest order: each tries a choice."""

AT_ONCE = 0.1
"""After these the model chooses several at a time, a share of how many results it is built on: so few more tell it
little. They are given up once as many have come."""

MOST_EDITS = 300
"""Of more edits of the point of the highest order so many are looked at, at random."""

PARENTS, EDITS, FROM_POOL = 5, 24, 60
"""The candidates of the model: new edits of each of the best few, points standing by, those of the highest order."""

REMEMBERED = 100
"""The model is built on so many of the best trainings and as many of the latest: its cost does not grow."""

FEWEST_TO_JUDGE = 8
"""From so many results on they say which way to order points is to be believed."""

LAST_DRAWS = 200
"""Where nothing else is left, so many draws are looked at for a new point."""


class BudgetSampler(BaseSampler):
    """Proposes points within limits on their costs, none twice, for any space of categorical and integer choices.

        sampler = BudgetSampler(space, cost=lambda params: {"params": …, "macs": …}, limits={"params": 20_000})
        study = optuna.create_study(direction="maximize", sampler=sampler)

    `space`: distributions by name, or a function that asks whatever it is given for its choices as an objective asks a
    trial; None: what the trials before have in common. `cost` tells costs by name, `macs` among them where it can;
    `make`, instead, also says what a draw becomes, and in which orders; `alike` how points are compared with others.
    Nothing over a limit is proposed as long as something else is found.
    """

    def __init__(
        self,
        space: Drawing | Mapping[str, BaseDistribution] | None = None,
        *,
        cost: Callable[[Mapping[str, Any]], Costs] | None = None,
        make: Make | None = None,
        alike: Alike = with_means,
        limits: Costs | None = None,
        seed: int = 0,
    ) -> None:
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.make: Make = make or partial(_costed, cost)
        self.alike, self.limits = alike, dict(limits or {})
        self.space: Drawing | None = flat(space) if isinstance(space, Mapping) else space
        self.study = ""
        """The name of the study that was read last; of one that was left none."""
        self.lock = Lock()
        self._begin()

    def _begin(self) -> None:
        """Know nothing yet."""
        self.points: Points | None = None
        if self.space is not None:
            self._set_space(self.space)
        self.model = Model()
        self.best: list[Result] = []
        """The best first, at most `REMEMBERED`."""
        self.latest: deque[Result] = deque(maxlen=REMEMBERED)
        self.surpassing = True
        """Whether the model's next choice is what may surpass the best most."""
        self.ahead: deque[Seen] = deque()
        """What the model has chosen to come next, and for how many results more that is good."""
        self.good_for = 0
        self.reading = Reading()

    def _set_space(self, draw: Drawing) -> None:
        self.points = Points(draw, self.make, self.limits, self.random, self.alike)

    def whole(self, number: int) -> Mapping[str, Any] | None:
        """All that was chosen for a trial under way, for who does not suggest choice by choice: it then counts as that.

        None where nothing was chosen.
        """
        seen = self.reading.chosen.get(number)
        if seen is None:
            return None
        self.reading.whole.add(number)
        return seen.point.named

    def pass_over(self, points: Iterable[str]) -> None:
        """Propose none of these, given by the JSON of their choices as made: they are known, though no trial tells of
        them.
        """
        assert self.points is not None, "a sampler that learns its space from trials cannot be told of others"
        self.points.passed.update(map(hash, points))

    def leave(self, study: Study) -> None:
        """Take in the last of a study, before another one goes on with what is known; without this it begins anew."""
        if self.points is not None:
            self._read(self.points, study)
        self.study, self.reading = "", Reading()

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock: samplers are copied with their studies. A copy makes choices of its own."""
        return {name: value for name, value in vars(self).items() if name != "lock"} | {"ahead": deque()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=Lock())

    def reseed_rng(self) -> None:
        """Draw other numbers than the process that this one was copied from."""
        seed = random.SystemRandom().randrange(2**31)
        self.random.seed(seed)
        self.numbers = np.random.default_rng(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Read what became of the trials, and choose a point."""
        if "fixed_params" in trial.system_attrs:  # enqueued
            return
        with self.lock:
            points = self._up_to_date(study)
            seen = None if points is None else self._chosen(points)
            if points is not None and seen is not None:
                self.reading.chosen[trial.number] = seen
                points.taken.add(seen.key)

    def in_order(self, study: Study) -> list[Mapping[str, Any]]:
        """What is chosen for the points standing by that are to be had, the one of the highest order first.

        As before a trial, the study is read and points are drawn that stand by.
        """
        with self.lock:
            points = self._up_to_date(study)
            if points is None:
                return []
            points.refresh()
            return [one.named for one in points.new(points.pool)]

    def _up_to_date(self, study: Study) -> Points | None:
        """The points, all that became of the study's trials taken in; None where nothing is known of its space."""
        if self.study not in ("", study.study_name):
            self._begin()
        self.study = study.study_name
        if self.points is None:
            common = IntersectionSearchSpace().calculate(study)
            if not common:
                return None
            self._set_space(flat(common))
        assert self.points is not None
        self._read(self.points, study)
        return self.points

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the point chosen was drawn from."""
        seen = self.reading.chosen.get(trial.number)
        return dict(seen.point.distributions) if seen else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The point chosen."""
        seen = self.reading.chosen.get(trial.number)
        return dict(seen.point.named) if seen else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Any value, for what is not in the space."""
        return any_of(param_distribution, self.random, param_name)

    def _read(self, points: Points, study: Study) -> None:
        """Take in the trials that are new or have ended since; points of those under way count as taken."""
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        for trial, seen, ended in self.reading.news(study.get_trials(deepcopy=False), points.look):
            points.taken.add(seen.key)
            value = value_of(trial)
            if ended and value is not None:
                self._learn((seen, sign * value))
        self._believe(points)

    def _believe(self, points: Points) -> None:
        """Order points in the way that ranks best what they reached, as soon as that can be told."""
        known = self._known()
        ways = len(known[0][0].trends) if known else 1
        if ways == 1 or len(known) < FEWEST_TO_JUDGE:
            return
        reached = [value for _, value in known]
        told = [rank_correlation([seen.trends[way][0] for seen, _ in known], reached) for way in range(ways)]
        if told[points.by] < max(told):
            points.order_by(told.index(max(told)))
            self.model.usual = None
            self.ahead.clear()

    def _known(self) -> list[Result]:
        """The results that the model is built on."""
        return list({seen.key: (seen, value) for seen, value in [*self.latest, *self.best]}.values())

    def _learn(self, result: Result) -> None:
        self.good_for -= 1
        if self.good_for <= 0:  # others have told some
            self.ahead.clear()
        self.latest.append(result)
        insort(self.best, result, key=lambda one: -one[1])
        del self.best[REMEMBERED:]

    def _chosen(self, points: Points) -> Seen | None:
        """A point within the limits that is not taken; None where none is found.

        Early on every other one is an edit of the point of the highest order; all others are the model's, later several
        at once.
        """
        points.refresh(renew=not self.ahead)
        while self.ahead:
            found = next(points.new([self.ahead.popleft()]), None)
            if found is not None:
                return found
        found, turn = None, points.count - FIRST_IN_ORDER
        if 0 <= turn < EARLY and turn % 2 == 0:
            found = self._edit_of_highest(points)
        if found is None and turn >= 0:
            found = self._of_model(points, 1 if turn < EARLY else max(1, round(AT_ONCE * len(self._known()))))
        found = found or next(points.new(points.pool), None) or self._beside_the_best(points)
        return found or next(points.new(points.drawn(LAST_DRAWS)), None)

    def _edit_of_highest(self, points: Points) -> Seen | None:
        around = points.around(points.pool[0]) if points.pool else []
        if not self.best:
            return points.any_new(around)
        wanted = self._some(list(points.new(around)), MOST_EDITS)
        return self._chosen_of(points, wanted, [True])[0] if wanted else None

    def _beside_the_best(self, points: Points) -> Seen | None:
        """Of the neighbours of the best that has new ones, the one of the highest order."""
        for one, _ in self.best:
            new = list(points.new(points.around(one)))
            if new:
                return max(new, key=points.order)
        return None

    def _of_model(self, points: Points, count: int) -> Seen | None:
        """The first of so many of its candidates that the model chooses, the others to follow; while nothing is known
        by turns the next in order and any.

        By turns it is the one that is expected to surpass the best most, and the best of a draw, so that it does not
        stay beside what it knows.
        """
        turns = [self.surpassing ^ bool(number % 2) for number in range(count if self.best else 1)]
        self.surpassing = not turns[-1]
        if not self.best:
            return None if turns[0] else points.any_new(points.pool)
        wanted = self._candidates(points)
        self.ahead.extend(self._chosen_of(points, wanted, turns) if wanted else [])
        self.good_for = count
        return self.ahead.popleft() if self.ahead else None

    def _chosen_of(self, points: Points, wanted: list[Seen], turns: list[bool]) -> list[Seen]:
        mixed = self.random.sample(wanted, len(wanted))  # of equals any
        return self.model.chosen(points, self._known(), mixed, turns, self.numbers)

    def _candidates(self, points: Points) -> list[Seen]:
        beside = [other for one, _ in self.best[:PARENTS] for other in points.new_around(one, EDITS)]
        others = [*points.pool[:FROM_TOP], *self._some(points.pool[FROM_TOP:], FROM_POOL)]
        return list({one.key: one for one in [*beside, *points.new(others)]}.values())

    def _some(self, points: list[Seen], count: int) -> list[Seen]:
        return points if len(points) <= count else self.random.sample(points, count)


def _costed(cost: Callable[[Mapping[str, Any]], Costs] | None, named: Mapping[str, Any]) -> Made:
    """A draw as it is, with what it costs."""
    return Made(named, cost(named) if cost else {})


def value_of(trial: FrozenTrial) -> float | None:
    """The value of a trial; of a pruned one the last it reported, None where that is no number."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    last = max(trial.intermediate_values, default=None)
    return None if last is None or math.isnan(trial.intermediate_values[last]) else trial.intermediate_values[last]
