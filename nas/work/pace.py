"""How soon a search found what it found: the best after so much training, beside that of the random search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from nas.arch.record import COMPLETE, PRUNED, TrialRecord
from nas.store.engine import Storage
from nas.store.status import seconds_behind
from nas.store.trials import trials

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""The points of the curves, as shares of what both searches have come to."""


@dataclass(frozen=True)
class PacePoint:
    """The best accuracy so far of both after equal seconds of training, and after equally many trials.

    None where no trial had completed by then.
    """

    seconds: float
    accuracy: float | None
    baseline_accuracy: float | None
    trials: int
    accuracy_by_trials: float | None
    baseline_accuracy_by_trials: float | None


@dataclass(frozen=True)
class _Run:
    """A search's ended trials in the order in which they ended: seconds up to each one's end, and the best by then."""

    seconds: tuple[float, ...]
    best: tuple[float | None, ...]

    def after_seconds(self, limit: float) -> float | None:
        ended = sum(seconds <= limit * (1 + 1e-9) for seconds in self.seconds)
        return self.after_trials(ended)

    def after_trials(self, count: int) -> float | None:
        return self.best[count - 1] if count else None


def pace(storage: Storage, study_id: int, baseline_id: int) -> list[PacePoint]:
    """Both curves at `SHARES` of the seconds and trials that both have; none where either has no ended trial."""
    own, other = (_run(trials(storage, one), seconds_behind(storage, one)) for one in (study_id, baseline_id))
    if not own.best or not other.best:
        return []
    seconds, count = min(own.seconds[-1], other.seconds[-1]), min(len(own.best), len(other.best))
    return [_point(own, other, share * seconds, max(1, round(share * count))) for share in SHARES]


def _point(own: _Run, other: _Run, seconds: float, count: int) -> PacePoint:
    by_seconds = (own.after_seconds(seconds), other.after_seconds(seconds))
    return PacePoint(seconds, *by_seconds, count, own.after_trials(count), other.after_trials(count))


def _run(records: Sequence[TrialRecord], behind: Mapping[int, float]) -> _Run:
    """Failed trials cost their seconds and count as no trial, as in the study's total."""
    spent, best = 0.0, []
    seconds = []
    for one in sorted((one for one in records if one.finished is not None), key=lambda one: (one.finished, one.id)):
        spent += behind[one.id]
        if one.state in (COMPLETE, PRUNED):
            seconds.append(spent)
            best.append(one.accuracy if one.state == COMPLETE else None)
    return _Run(tuple(seconds), tuple(accumulate(best, _better)))


def _better(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
